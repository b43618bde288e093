import type { Queue } from 'bullmq';
import type { Database } from '../../database/database.ts';
import { finding } from '../../ledger/verify/invariant.ts';
import type { Finding, Rule } from '../../ledger/verify/invariant.ts';
import { lanesInUse, markedSince, unknownSubmissions } from '../../ledger/verify/queue.ts';
import { jobId, laneOf, liveJobIds, openQueue } from '../../worker/queue/queue.ts';
import type { JobData, JobResult, QueueStore } from '../../worker/queue/queue.ts';
import type { Look } from './verify.ts';

/** The queue beside the ledger. It can be lost without loss, but not without being noticed. */
const QUEUE_RULES = {
  marked: {
    name: 'queued-job',
    holds: 'a row that is marked as queued has a job, or is fed again',
    severity: 'broken',
    next: 'start the worker again: its feeder should have noticed',
  },
  known: {
    name: 'job-known',
    holds: 'every job in the queue names a row of this ledger',
    severity: 'broken',
    next: 'remove the job on the board (a worker refuses it), and find out what else writes to this queue',
  },
} as const satisfies Record<string, Rule>;

/** A feeder looks every 2 s for what has been lost for 3 s. */
const SETTLED_MS = 10_000;

export interface QueueLooks {
  ledgerId: string;
  /** Null: of all. Jobs that name no row belong to no batch. */
  batchId: number | null;
  onJobs?: (jobs: number) => void;
}

/** Holds every lane of the queue against the ledger. */
export async function* queueLooks(
  db: Database,
  store: QueueStore,
  options: QueueLooks,
): AsyncGenerator<Look> {
  const lanes = new Set([laneOf(options.ledgerId, null), ...(await lanesInUse(db))]);
  for (const lane of lanes) {
    const queue = openQueue(store, lane, { skipMetasUpdate: true });
    try {
      const found = await lookAtLane(db, queue, lane, options, options.onJobs);
      yield { found, again: () => lookAgain(db, store, lane, options) };
    } finally {
      await queue.close();
    }
  }
}

/** By then the first queue is closed. */
async function lookAgain(
  db: Database,
  store: QueueStore,
  lane: string,
  options: QueueLooks,
): Promise<Finding[]> {
  const queue = openQueue(store, lane, { skipMetasUpdate: true });
  try {
    return await lookAtLane(db, queue, lane, options);
  } finally {
    await queue.close();
  }
}

async function lookAtLane(
  db: Database,
  queue: Queue<JobData, JobResult>,
  lane: string,
  { batchId }: QueueLooks,
  onJobs?: (jobs: number) => void,
): Promise<Finding[]> {
  // The ledger first: what is fed between the two has a job, and no mark that we know of.
  const marked = await markedSince(db, lane, batchId, SETTLED_MS);
  const live = await liveJobIds(queue);
  onJobs?.(live.size);
  const found = marked
    .filter((row) => !live.has(jobId(row.submissionId, row.generation)))
    .map(({ batch, key, fed }) =>
      finding(QUEUE_RULES.marked, {
        batch,
        key,
        what: `is marked as queued in ${lane} and has no job there`,
        ...(fed ? {} : { severity: 'note', next: 'vidbatch work feeds it again' }),
      }),
    );
  return batchId === null ? [...found, ...(await strays(db, queue, lane, live))] : found;
}

async function strays(
  db: Database,
  queue: Queue<JobData, JobResult>,
  lane: string,
  live: ReadonlySet<string>,
): Promise<Finding[]> {
  const named = new Map<string, number>();
  for (const id of live) {
    const submission = await submissionOf(queue, id);
    if (submission !== undefined) named.set(id, submission);
  }
  const unknown = new Set(await unknownSubmissions(db, [...new Set(named.values())]));
  return [...named]
    .filter(([, submission]) => unknown.has(submission))
    .map(([id]) => finding(QUEUE_RULES.known, { what: `job ${id} in ${lane} names no row of this ledger` }));
}

/** By the job's id; by its data where somebody else chose the id. Undefined when the job is done by now. */
async function submissionOf(queue: Queue<JobData, JobResult>, id: string): Promise<number | undefined> {
  const match = /^s(\d{1,15})-\d+$/.exec(id);
  if (match !== null) return Number(match[1]);
  const job = await queue.getJob(id);
  if (job === undefined) return undefined;
  const submission: unknown = (job.data as Partial<JobData> | null)?.submission;
  return Number.isSafeInteger(submission) ? (submission as number) : -1;
}
