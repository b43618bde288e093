import { DelayedError } from 'bullmq';
import type { Job } from 'bullmq';
import { LONGEST_HOLD_MS } from './rate/hold.ts';
import type { Hold } from './rate/hold.ts';
import type { Queryable } from '../database/database.ts';
import { generationOf, unqueue } from '../ledger/send/feed.ts';
import type { Logger } from '../core/log.ts';
import { patiently } from '../database/patience.ts';
import { reached } from '../core/point.ts';
import { jobId, namesNoRow } from './queue/queue.ts';
import type { JobData, JobResult } from './queue/queue.ts';
import type { QuotaKeeper } from './rate/quota-keeper.ts';
import { standingOf } from './standing.ts';
import type { Verdict } from './submit.ts';

/** A job in a worker's hands, and by which token. */
export interface TakenJob {
  job: Job<JobData, JobResult>;
  token: string | undefined;
}

/** What a worker ends its jobs with. */
export interface JobHands {
  db: Queryable;
  hold: Hold;
  quota: QuotaKeeper;
  log: Logger;
}

/** Longer waits go back to the ledger, so that waiting rows do not fill the queue. */
const LONGEST_DELAY_MS = 60_000;

/**
 * A verdict on a row in BullMQ's verbs: what its job leaves behind.
 * @throws DelayedError when the job comes again by itself; UnrecoverableError when it names no row.
 */
export function endJob(taken: TakenJob, verdict: Verdict, hands: JobHands): Promise<JobResult> {
  return verdict.kind === 'refused' ? refused(taken, verdict, hands) : settled(taken, verdict, hands);
}

async function refused(
  taken: TakenJob,
  { refusal }: Extract<Verdict, { kind: 'refused' }>,
  hands: JobHands,
): Promise<JobResult> {
  const { submissionId } = refusal;
  if (refusal.reason === 'unknown') throw namesNoRow(`submission ${submissionId} is not in this ledger`);
  if (refusal.reason === 'throttled' && refusal.waitMs !== undefined) {
    hands.hold.forMs(Math.min(refusal.waitMs, LONGEST_HOLD_MS));
  }
  // As many of a model are in the queue as its rate lets go soon: given back, they would be fed again at once.
  if (refusal.ofModel === true && refusal.waitMs !== undefined)
    return putOff(taken, submissionId, Math.min(refusal.waitMs, LONGEST_DELAY_MS), hands);
  // By the ledger's clock alone is it seen when a window opens.
  if (refusal.reason !== 'window' && refusal.waitMs !== undefined && refusal.waitMs <= LONGEST_DELAY_MS)
    return putOff(taken, submissionId, refusal.waitMs, hands);
  const given = await giveBack(submissionId, refusal.reason, hands);
  return refusal.reason === 'not-pending'
    ? { ...given, ...(await standingOf(hands.db, submissionId)) }
    : given;
}

async function settled(
  taken: TakenJob,
  { claim, recorded, outcome, waitMs }: Extract<Verdict, { kind: 'settled' }>,
  hands: JobHands,
): Promise<JobResult> {
  if (outcome.kind === 'throttled') {
    hands.hold.forMs(waitMs);
    await hands.quota.refused(claim.attemptId, waitMs);
  }
  if (recorded.state === 'pending' && outcome.kind !== 'halted') {
    if (waitMs <= LONGEST_DELAY_MS) return delay(taken, waitMs);
    return giveBack(claim.submissionId, outcome.kind, hands);
  }
  return {
    state: recorded.state,
    ...(outcome.kind === 'accepted' ? { taskId: outcome.taskId } : {}),
    ...(outcome.evidence.message === undefined ? {} : { note: outcome.evidence.message }),
  };
}

/**
 * A row that was taken back while its job was in a worker's hands is fed anew when its time comes. Kept, such jobs would be
 * more and more, and leave no room for rows that may go.
 */
async function putOff(
  taken: TakenJob,
  submissionId: number,
  ms: number,
  { db, log }: Pick<JobHands, 'db' | 'log'>,
): Promise<JobResult> {
  const generation = await patiently('look', log, () => generationOf(db, submissionId));
  if (generation !== undefined && taken.job.id === jobId(submissionId, generation)) return delay(taken, ms);
  return { state: 'not sent', note: 'its row was taken out of the queue meanwhile' };
}

async function delay({ job, token }: TakenJob, ms: number): Promise<never> {
  await job.moveToDelayed(Date.now() + ms, token);
  reached('job-delayed');
  throw new DelayedError();
}

/** The row is no longer in the queue; the feeder brings it back when its gates are open. */
export async function giveBack(
  submissionId: number,
  note: string,
  { db, log }: Pick<JobHands, 'db' | 'log'>,
): Promise<JobResult> {
  await patiently('give back', log, () => unqueue(db, [submissionId]));
  reached('row-given-back');
  return { state: 'not sent', note };
}
