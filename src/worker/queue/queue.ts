import { randomUUID } from 'node:crypto';
import {
  createPostgresBackend,
  Queue,
  Worker,
  type Processor,
  type QueueOptions,
  type Telemetry,
  type WorkerOptions,
} from 'bullmq';
import { forgetFeeder, listFeeders } from '../../ledger/send/feeder.ts';
import type { Queryable } from '../../database/database.ts';
import type { Outage } from '../../database/outage.ts';
import { MOST_ROWS, type Chunk, type ChunkData, type ChunkResult } from './chunk.ts';
import { batchesOfQueue } from './name.ts';
import type { RedisClient } from './redis/client.ts';

/**
 * Where BullMQ keeps its jobs: Redis, or a database with BullMQ's schema (a `pg.Pool`, or the embedded one).
 * All jobs can be lost safely: the feeder fills the queue again from the ledger.
 */
export type QueueStore = (
  | { kind: 'redis'; redis: RedisClient; /** How its keys begin. */ prefix: string }
  | { kind: 'postgres'; pool: QueuePool }
) & {
  outage: Outage;
  /** Spans of the queue and the worker, if OpenTelemetry is configured. */
  telemetry?: Telemetry;
};

export type QueuePool = NonNullable<Parameters<typeof createPostgresBackend>[1]['connection']>;

export type ChunkQueue = Queue<ChunkData, ChunkResult>;

/** A limited number of finished jobs is kept for people; the ledger has all rows. */
const KEEP = { removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 } };

/** `skipMetasUpdate` is for readers: otherwise opening a queue writes its settings, even if the queue is long gone. */
export function openQueue(
  store: QueueStore,
  name: string,
  look: Pick<QueueOptions, 'skipMetasUpdate'> = {},
): ChunkQueue {
  const common = { ...look, ...telemetryOf(store), defaultJobOptions: KEEP };
  if (store.kind === 'redis') {
    const { redis: connection, prefix } = store;
    const options: QueueOptions = { ...common, connection, prefix };
    return heard(new Queue<ChunkData, ChunkResult>(name, options), store.outage);
  }
  const options = { ...common, connection: store.pool };
  return heard(
    new Queue<ChunkData, ChunkResult>(name, options as never, createPostgresBackend as never),
    store.outage,
  );
}

/** Errors of a job that ran while the queue could not be reached. It runs again, and its claims decide. */
const LOCK_LOST =
  /^(could not renew lock for job|Missing (lock|key) for job|Lock mismatch for job|Job \S+ is not in the \S+ state)/;

/** What BullMQ throws when the stored text of a job is not JSON any more. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof SyntaxError || error instanceof TypeError;
}

/** All connection errors of BullMQ are reported as one outage. Without a listener, BullMQ would print them. */
function heard<Of extends { on(event: 'error', listener: (error: Error) => void): unknown }>(
  of: Of,
  outage: Outage,
): Of {
  of.on('error', (error) => {
    if (!LOCK_LOST.test(error.message) && !isUnreadable(error)) outage.failed(error);
  });
  return of;
}

/** `id` names the worker on dashboards, in the list of workers and in each job that it took. */
export function openWorker(
  store: QueueStore,
  name: string,
  processor: Processor<ChunkData, ChunkResult>,
  concurrency: number,
  id?: string,
): Worker<ChunkData, ChunkResult> {
  const options: Omit<WorkerOptions, 'connection'> = {
    // Redis allows no other characters in the name of a connection.
    ...(id === undefined ? {} : { name: id.replace(/[^!-~]/g, '-') }),
    concurrency,
    autorun: false,
    // BullMQ starts a stalled job again this many times. That is safe: a run sends only rows that it claims.
    maxStalledCount: 100,
    // For the same reason, jobs of a dead worker need not wait a minute, as they would by default.
    lockDuration: 10_000,
    stalledInterval: 5_000,
    ...telemetryOf(store),
    ...KEEP,
  };
  const worker = heard(
    store.kind === 'redis'
      ? new Worker<ChunkData, ChunkResult>(name, processor, {
          ...options,
          connection: store.redis,
          prefix: store.prefix,
        })
      : new Worker<ChunkData, ChunkResult>(
          name,
          processor,
          { ...options, connection: store.pool } as never,
          createPostgresBackend as never,
        ),
    store.outage,
  );
  worker.on('completed', () => store.outage.worked());
  return worker;
}

function telemetryOf({ telemetry }: QueueStore): { telemetry?: Telemetry } {
  return telemetry === undefined ? {} : { telemetry };
}

/** The highest rank there can be: that of a row and a batch together. BullMQ takes priority 1 first. */
const HIGHEST_RANK = 200;

/** Puts these chunks into the queue, in their order within a rank. */
export async function addChunks(queue: ChunkQueue, chunks: readonly Chunk[]): Promise<void> {
  await queue.addBulk(
    chunks.map(({ batch, name, rows, rank }) => ({
      name,
      data: { batch, rows },
      opts: {
        jobId: chunkId(batch, rows),
        attempts: 1,
        ...(rank === undefined ? {} : { priority: 1 + HIGHEST_RANK - rank }),
      },
    })),
  );
}

/** `b<batch>-<rows>-<random>`: the ids alone say what the queue holds. */
function chunkId(batch: number, rows: number): string {
  return `b${batch}-${rows}-${randomUUID().slice(0, 8)}`;
}

/** Which rows a job may claim, by its id; undefined: something else than vidbatch made it. */
function chunkOfId(id: string): { batch: number; rows: number } | undefined {
  const match = /^b(\d{1,15})-(\d{1,3})-/.exec(id);
  return match === null
    ? undefined
    : { batch: Number(match[1]), rows: Math.min(Number(match[2]), MOST_ROWS) };
}

/** The states of jobs that have not ended. */
const LIVE = ['active', 'waiting', 'delayed', 'prioritized'] as const;

/** The jobs of a queue that have not ended. */
export interface LiveJobs {
  /** `batch` is undefined where something else than vidbatch made the job. */
  jobs: { id: string; batch: number | undefined }[];
  /** How many of them no worker works on yet. */
  waits: number;
  /** Rows that the waiting jobs may claim, by batch. 0: a worker works on a job of this batch, and no other waits. */
  waiting: Map<number, number>;
}

/** Reads only ids: to load a hundred jobs would take a hundred queries. */
export async function readLive(queue: ChunkQueue): Promise<LiveJobs> {
  const active = new Set(await queue.getRanges(['active'], 0, -1));
  const jobs: LiveJobs['jobs'] = [];
  const waiting = new Map<number, number>();
  let waits = 0;
  for (const id of await queue.getRanges([...LIVE], 0, -1)) {
    const chunk = chunkOfId(id);
    jobs.push({ id, batch: chunk?.batch });
    if (!active.has(id)) waits += 1;
    if (chunk === undefined) continue;
    waiting.set(chunk.batch, (waiting.get(chunk.batch) ?? 0) + (active.has(id) ? 0 : chunk.rows));
  }
  return { jobs, waits, waiting };
}

/** Jobs by state. BullMQ counts waiting jobs with a priority apart; here they are waiting, too. */
export async function countByState(queue: ChunkQueue): Promise<Record<string, number>> {
  const {
    waiting = 0,
    prioritized = 0,
    ...counts
  } = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'completed', 'failed');
  return { waiting: waiting + prioritized, ...counts };
}

/**
 * Removes jobs that cannot be read. Such a job never ends: each worker that takes it fails before it can fail the job, and
 * the job waits again once its lock is over. A job that a worker holds cannot be removed yet (`held`).
 */
export async function removeUnreadable(queue: ChunkQueue): Promise<{ removed: string[]; held: number }> {
  const removed: string[] = [];
  let held = 0;
  for (const id of await queue.getRanges([...LIVE], 0, -1)) {
    try {
      await queue.getJob(id);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      if ((await queue.remove(id, { removeChildren: false })) === 1) removed.push(id);
      else held += 1;
    }
  }
  return { removed, held };
}

/** Removes the queues of runs that were killed before they could remove them. Their rows are in the ledger. */
export async function removeDeadQueues(db: Queryable, store: QueueStore, ledgerId: string): Promise<void> {
  for (const { queue: name, alive } of await listFeeders(db)) {
    if (alive || batchesOfQueue(name, ledgerId) === null) continue;
    const queue = openQueue(store, name, { skipMetasUpdate: true });
    try {
      await queue.obliterate({ force: true });
    } finally {
      await queue.close();
    }
    await forgetFeeder(db, name);
  }
}
