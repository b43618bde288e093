import { UnrecoverableError } from 'bullmq';

/** Rows that one job may claim, at most. */
export const MOST_ROWS = 100;

/** A job of the queue: leave to claim and send up to `rows` rows of a batch. */
export interface Chunk {
  batch: number;
  /** Of the batch. */
  name: string;
  rows: number;
  /** Among the jobs of the queue, higher first: the priority of a row and its batch together. Undefined: all are alike. */
  rank?: number;
}

/** What a job carries. Nothing in it is trusted: `took` is for people, and filled when rows were claimed. */
export interface ChunkData {
  batch: number;
  rows: number;
  took?: TookRow[];
  /** It has ended as failed. */
  failed?: true;
}

/** A row that a chunk has claimed, as a person wants to see it. */
export interface TookRow {
  /** Or its line, where the manifest gives it no key. */
  key: string;
  /** The beginning of the prompt. */
  prompt: string;
}

/** How far a job is. Bull Board draws `progress`, a percentage, and shows the rest. */
export interface ChunkProgress {
  progress: number;
  claimed: number;
  settled: number;
  /** Rows that it may claim. */
  of: number;
}

/** What a job leaves behind, for people: how many rows ended in which way. */
export type ChunkResult = Record<string, number | string>;

/** The batch and the number of rows that a job's data names, as far as they are numbers; undefined: it names none. */
export function chunkOf(data: unknown): Pick<Chunk, 'batch' | 'rows'> | undefined {
  const { batch, rows = 1 } = (data ?? {}) as Partial<ChunkData>;
  if (!isCount(batch) || !isCount(rows)) return undefined;
  return { batch, rows: Math.min(rows, MOST_ROWS) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

/** Why a job failed, in words. It is not tried again, whatever its options say: its rows are the ledger's matter. */
export function jobFailure(why: string): UnrecoverableError {
  const failure = new UnrecoverableError(why);
  // Bull Board shows the stack, which says nothing to a person here.
  failure.stack = why;
  return failure;
}

/** What it names will not come to be. */
export function namesNoBatch(why: string): UnrecoverableError {
  return jobFailure(`the job names no batch: ${why}; something else than vidbatch made or changed it`);
}
