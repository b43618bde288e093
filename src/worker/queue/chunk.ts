import { UnrecoverableError } from 'bullmq';

/** Rows that one job may claim, at most. */
export const MOST_ROWS = 100;

/** A job of the queue: permission to claim and send up to `rows` rows of a batch. */
export interface Chunk {
  batch: number;
  /** The name of the batch. */
  name: string;
  rows: number;
  /** Jobs with a higher rank go first: the sum of the priorities of the row and its batch. Undefined: all are equal. */
  rank?: number;
}

/** The data of a job. Nothing in it is trusted. `took` is for people, and is filled when rows were claimed. */
export interface ChunkData {
  batch: number;
  rows: number;
  took?: TookRow[];
  /** It has ended as failed. */
  failed?: true;
}

/** A row that a job has claimed, for people. */
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

/** The result of a job, for people: how many rows ended in which state. */
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

/** Why a job failed, in words. BullMQ does not try it again, because the ledger decides about its rows. */
export function jobFailure(why: string): UnrecoverableError {
  const failure = new UnrecoverableError(why);
  // Bull Board shows the stack, which does not help a person here.
  failure.stack = why;
  return failure;
}

/** The job names no batch of this ledger. */
export function namesNoBatch(why: string): UnrecoverableError {
  return jobFailure(`the job names no batch: ${why}; something else than vidbatch made or changed it`);
}
