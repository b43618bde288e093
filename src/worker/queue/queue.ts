import { createPostgresBackend, Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Processor, QueueOptions, Telemetry, WorkerOptions } from 'bullmq';
import type { Fed } from '../../ledger/send/feed.ts';
import type { Outage } from '../../database/outage.ts';
import type { RedisClient } from './redis/client.ts';

/**
 * Where BullMQ keeps its jobs: Redis, or a database with BullMQ's schema (a `pg.Pool`, or the embedded one).
 * Everything in it can be lost without loss: the ledger refills it.
 */
export type QueueStore = (
  | { kind: 'redis'; redis: RedisClient; /** How its keys begin. */ prefix: string }
  | { kind: 'postgres'; pool: PgPool }
) & {
  outage: Outage;
  /** Spans for what queue and worker do, when they are asked for. */
  telemetry?: Telemetry;
};

type PgPool = NonNullable<Parameters<typeof createPostgresBackend>[1]['connection']>;

/** What a job carries: which submission, and what a person wants to see of it. Never more than 1 KB, never a secret. */
export interface JobData {
  submission: number;
  batch: string;
  key: string;
  line: number;
  model: string;
  mode: string;
  preview: string;
}

/**
 * The row that a job's data names, or undefined. The data comes from the queue's store, where whoever can write there
 * has changed it as he liked: nothing else of it is believed, and this only as far as a number goes.
 */
export function rowOf(data: unknown): number | undefined {
  const submission = (data as Partial<JobData> | null | undefined)?.submission;
  return Number.isSafeInteger(submission) && Number(submission) > 0 ? Number(submission) : undefined;
}

/** Not tried again, whatever the job's options say: what it names will not come to be. */
export function namesNoRow(why: string): UnrecoverableError {
  return new UnrecoverableError(
    `the job names no row: ${why}; something else than vidbatch made or changed it`,
  );
}

/** What a job leaves behind, for people. */
export interface JobResult {
  state: string;
  taskId?: string;
  note?: string;
}

/** Shared by all workers of a ledger; `run` has a lane of its own, so that it claims its own batches only. */
export function laneOf(ledgerId: string, batches: readonly number[] | null): string {
  return batches === null ? `vidbatch-${ledgerId}` : `vidbatch-${ledgerId}-run-${batches.join('-')}`;
}

/** Where the schedules are shown. Nobody works on it. */
export function scheduleLane(ledgerId: string): string {
  return `vidbatch-${ledgerId}-schedule`;
}

/** Whether rows of this batch are put into that lane. */
export function feeds(lane: string, ledgerId: string, batch: number): boolean {
  const shared = laneOf(ledgerId, null);
  if (lane === shared) return true;
  const own = `${shared}-run-`;
  return lane.startsWith(own) && lane.slice(own.length).split('-').includes(String(batch));
}

/** Finished jobs stay for people to look at, in bounded number; the ledger has them all. */
const KEEP = { removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 } };

/** How many jobs one call to BullMQ adds. */
const BULK = 500;
/** Each is a command of its own. */
const REMOVED_AT_ONCE = 100;

/** `skipMetasUpdate`: for whoever only looks, as opening a queue otherwise writes its settings, even of one long gone. */
export function openQueue(
  store: QueueStore,
  lane: string,
  look: Pick<QueueOptions, 'skipMetasUpdate'> = {},
): Queue<JobData, JobResult> {
  const common = { ...look, ...telemetryOf(store), defaultJobOptions: KEEP };
  if (store.kind === 'redis') {
    const { redis: connection, prefix } = store;
    const options: QueueOptions = { ...common, connection, prefix };
    return heard(new Queue<JobData, JobResult>(lane, options), store.outage);
  }
  const options = { ...common, connection: store.pool };
  return heard(
    new Queue<JobData, JobResult>(lane, options as never, createPostgresBackend as never),
    store.outage,
  );
}

/** Of a job that was in hand while the queue was away. It runs again, and its claim decides. */
const LOCK_LOST =
  /^(could not renew lock for job|Missing (lock|key) for job|Lock mismatch for job|Job \S+ is not in the \S+ state)/;

/** What reading a job as JSON throws, as BullMQ does when it takes one: its text was spoilt in the store. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof SyntaxError || error instanceof TypeError;
}

/** Whatever BullMQ says of its connections is one matter. Without a listener it would print it. */
function heard<Of extends { on(event: 'error', listener: (error: Error) => void): unknown }>(
  of: Of,
  outage: Outage,
): Of {
  of.on('error', (error) => {
    if (!LOCK_LOST.test(error.message) && !isUnreadable(error)) outage.failed(error);
  });
  return of;
}

export function openWorker(
  store: QueueStore,
  lane: string,
  processor: Processor<JobData, JobResult>,
  concurrency: number,
): Worker<JobData, JobResult> {
  const options: Omit<WorkerOptions, 'connection'> = {
    concurrency,
    autorun: false,
    // A stalled job runs again and its claim decides; it need not be failed for that.
    maxStalledCount: 100,
    // For the same reason a dead worker's jobs need not wait for the usual half minute, and then half a minute more.
    lockDuration: 10_000,
    stalledInterval: 5_000,
    ...telemetryOf(store),
    ...KEEP,
  };
  const worker = heard(
    store.kind === 'redis'
      ? new Worker<JobData, JobResult>(lane, processor, {
          ...options,
          connection: store.redis,
          prefix: store.prefix,
        })
      : new Worker<JobData, JobResult>(
          lane,
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

/** `s<submission>-<generation>`: a kept job id never runs again, so each feeding has its own. */
export function jobId(submissionId: number, generation: number): string {
  return `s${submissionId}-${generation}`;
}

/** The highest rank there can be: that of a row and a batch together. BullMQ takes 1 first, and what has none before. */
const HIGHEST_RANK = 200;

export async function enqueue(queue: Queue<JobData, JobResult>, rows: readonly Fed[]): Promise<void> {
  for (let start = 0; start < rows.length; start += BULK) {
    await queue.addBulk(
      rows.slice(start, start + BULK).map((row) => ({
        name: row.mode,
        data: {
          submission: row.submissionId,
          batch: row.batch,
          key: row.key,
          line: row.line,
          model: row.model,
          mode: row.mode,
          preview: row.preview,
        },
        opts: {
          jobId: jobId(row.submissionId, row.generation),
          attempts: 1,
          ...(row.rank === undefined ? {} : { priority: 1 + HIGHEST_RANK - row.rank }),
        },
      })),
    );
  }
}

/** Every job that still has something to do. */
const LIVE = ['waiting', 'active', 'delayed', 'prioritized'] as const;

export async function countLive(queue: Queue<JobData, JobResult>): Promise<number> {
  return (await countJobs(queue)).live;
}

/** Jobs that still have something to do, and those of them that a worker may take now. */
export async function countJobs(
  queue: Queue<JobData, JobResult>,
): Promise<{ live: number; waiting: number }> {
  const counts = await queue.getJobCounts(...LIVE);
  const live = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { live, waiting: (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0) };
}

/** Their ids alone: loading a thousand jobs to look at their ids would be a query each. */
export async function liveJobIds(queue: Queue<JobData, JobResult>): Promise<Set<string>> {
  return new Set(await queue.getRanges([...LIVE], 0, -1));
}

/** Takes these jobs out of the queue, but for those that a worker has in its hands: their claims decide. */
export async function dequeue(
  queue: Queue<JobData, JobResult>,
  rows: readonly Pick<Fed, 'submissionId' | 'generation'>[],
): Promise<void> {
  for (let start = 0; start < rows.length; start += REMOVED_AT_ONCE) {
    await Promise.all(
      rows
        .slice(start, start + REMOVED_AT_ONCE)
        .map(({ submissionId, generation }) => queue.remove(jobId(submissionId, generation))),
    );
  }
}

/**
 * Of these jobs, those that still wait for their time are run now. Their times are by the clock of whoever put them off,
 * and are compared with the clock of whoever takes them: where one is set back, they would be late by as much.
 */
export async function promote(queue: Queue<JobData, JobResult>, ids: ReadonlySet<string>): Promise<number> {
  const late = (await queue.getRanges(['delayed'], 0, -1)).filter((id) => ids.has(id));
  for (const id of late) {
    // Taken meanwhile, most likely; if not, the next look finds it again.
    await (await queue.getJob(id))?.promote().catch(() => undefined);
  }
  return late.length;
}

/**
 * A job that cannot be read never ends: every worker that takes it trips over it before it could fail it, and it waits
 * again once its lock is over. So it is taken away, unless somebody holds it just now (`held`).
 */
export async function removeUnreadable(
  queue: Queue<JobData, JobResult>,
): Promise<{ removed: string[]; held: number }> {
  const removed: string[] = [];
  let held = 0;
  for (const id of await liveJobIds(queue)) {
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
