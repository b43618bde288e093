/**
 * The room `worker` feeds the queue, claims rows, sends each claimed row once and records the answer. It holds
 * the queue, the journal, the rate limits and the sweeper.
 * It may import results, batch, manifest, provider, ledger, database and core.
 */
import type { Job } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClerk } from './clerk.ts';
import { isOutage } from '../database/connection-lost.ts';
import { messageOf } from '../core/errors.ts';
import { startFeeder } from './feeder.ts';
import { createHold } from './rate/hold.ts';
import { endJob, giveBack } from './job-end.ts';
import type { Claim } from '../ledger/send/claim.ts';
import type { Database } from '../database/database.ts';
import type { Journal } from './journal/journal.ts';
import { keepJournal } from './journal/keeper.ts';
import { keepQuota } from './rate/quota-keeper.ts';
import { rememberJournal } from '../ledger/send/journal.ts';
import { depthUnder } from '../core/rate/limits.ts';
import type { Limit } from '../core/rate/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Outcome, Provider } from '../core/outcome.ts';
import { reached } from '../core/point.ts';
import { isUnreadable, namesNoRow, openQueue, openWorker, rowOf } from './queue/queue.ts';
import type { JobData, JobResult, QueueStore } from './queue/queue.ts';
import { backoffMs, retryOf, throttleMs } from '../core/retry.ts';
import type { SameKey } from '../core/retry.ts';
import { submit } from './submit.ts';
import type { Clock, Verdict } from './submit.ts';
import { againOf, startSweeper } from './sweeper.ts';
import { tellVerdict } from './verdict-log.ts';
import { within } from '../core/within.ts';

export interface WorkerOptions {
  db: Database;
  store: QueueStore;
  provider: Provider;
  /** Of this incarnation alone. The worker closes it. */
  journal: Journal;
  /** Name of this incarnation, as it will stand in the ledger. */
  id: string;
  ledgerId: string;
  lane: string;
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  concurrency: number;
  queueDepth: number;
  maxAttempts: number;
  /** Leave to send rows again of which nobody knows. */
  sameKey?: SameKey | undefined;
  /** Milliseconds for one whole exchange with the provider. */
  timeoutMs: number;
  /** Of all workers together, sorted by model. */
  limits?: readonly Limit[];
  log: Logger;
  random?: () => number;
  clock?: Clock;
  /** Rows begin to wait for tasks to end. */
  onFull?: () => void;
  /** Called after each row that was settled, or refused by a gate. */
  onVerdict?: (verdict: Verdict) => void;
}

export interface RunningWorker {
  /** Name of this incarnation, as it stands in the ledger. */
  readonly id: string;
  /** Rows that are being claimed, sent or recorded. */
  inFlight(): number;
  /** Whether rows have waited lately for the provider's tasks to end. */
  isFull(): boolean;
  /** Milliseconds since the feeder last came round. */
  feederIdleMs(): number;
  /** Its journal: how long it is, and whether the disk has no room for more. */
  journal(): { bytes: number; full: boolean };
  /**
   * Takes no more, finishes what is in flight, records it. After `timeoutMs` (default: however long it takes) it resolves
   * with the number of rows that are not recorded; these go on for as long as the process lives.
   */
  stop(timeoutMs?: number): Promise<number>;
}

/** From the claim to the deadline: the whole exchange and a margin, so that only the dead are swept. */
const DEADLINE_MARGIN_MS = 60_000;
const JOURNAL_PAUSE_MS = 5_000;
/** Once the rows are recorded, a queue or a ledger that is away does not hold up the end. */
const CLOSING_MS = 3_000;

const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

/** The BullMQ shell around `submit`: feeds, takes jobs, and ends them by their verdicts. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const { db, store, provider, journal, id, lane, batches, limits = [], log } = options;
  const { random = Math.random, clock = systemClock } = options;
  const stopping = new AbortController();
  let inFlight = 0;
  let allRecorded = true;
  let stopped: Promise<number> | undefined;
  let idle: (() => void) | undefined;

  const keeper = keepJournal(journal, log);
  const quota = keepQuota(db, provider.origin, limits, log);
  const hold = createHold(clock, options.onFull);
  const hands = { db, hold, quota, log };
  const clerk = createClerk(
    db,
    {
      worker: id,
      origin: provider.origin,
      batches,
      lifetimeMs: options.timeoutMs + DEADLINE_MARGIN_MS,
      limits,
    },
    log,
    stopping.signal,
  );
  const queue = openQueue(store, lane);
  const feeder = startFeeder({
    db,
    queue,
    scope: { lane, origin: provider.origin, batches, limits },
    depth: depthUnder(limits, options.queueDepth, 2 * options.concurrency),
    inHand: options.concurrency,
    log,
  });
  const stopSweeper = startSweeper(db, log, againOf(provider.origin, options));

  function wait(claim: Claim, outcome: Outcome): number {
    if (outcome.kind === 'throttled') {
      const { afterMs } = outcome.retry;
      const retryAfterMs = afterMs === undefined ? {} : { retryAfterMs: afterMs };
      return throttleMs({
        level: claim.throttleLevel,
        random,
        baseMs: quota.throttleBaseMs(),
        ...retryAfterMs,
      });
    }
    const retry = retryOf(outcome, options.sameKey);
    return retry === undefined ? 0 : (retry.afterMs ?? backoffMs({ attempt: claim.spent + 1, random }));
  }

  /** Waits for what all rows wait for: the end of a throttle, or the rate's next slots. False when the worker stops meanwhile. */
  async function mayCall(): Promise<boolean> {
    try {
      while (hold.leftMs() > 0) await pause(hold.leftMs());
      while (!(await keeper.hasRoom())) await pause(JOURNAL_PAUSE_MS);
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
    }
    return !stopping.signal.aborted;
  }

  async function pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: stopping.signal });
  }

  async function perform(job: Job<JobData, JobResult>, token?: string): Promise<JobResult> {
    reached('job-taken');
    const submissionId = rowOf(job.data);
    if (submissionId === undefined) throw namesNoRow('its data holds no submission');
    let verdict: Verdict;
    do {
      // Looked at once more in the very step that counts the row: whoever stops waits for all that are counted.
      if (!(await mayCall()) || stopping.signal.aborted)
        return giveBack(submissionId, 'the worker stopped before this row was claimed', hands);
      verdict = await attempt(submissionId);
    } while (hold.keeps(verdict));
    tellVerdict(log, verdict);
    feeder.poke();
    options.onVerdict?.(verdict);
    return endJob({ job, token }, verdict, hands);
  }

  async function attempt(submissionId: number): Promise<Verdict> {
    inFlight += 1;
    const began = clock.monotonic();
    try {
      const verdict = await submit(submissionId, {
        claim: clerk.claim,
        journal: keeper.written,
        provider,
        record: clerk.record,
        wait,
        maxAttempts: options.maxAttempts,
        sameKey: options.sameKey,
        ledgerId: options.ledgerId,
        clock,
        pause: (ms) => sleep(ms),
      });
      if (verdict.kind === 'settled') quota.settled(clock.monotonic() - began);
      return verdict;
    } catch (error) {
      // An answer may stand in the journal alone: the next start has to read it.
      allRecorded = false;
      throw error;
    } finally {
      inFlight -= 1;
      if (inFlight === 0) idle?.();
    }
  }

  const worker = openWorker(store, lane, perform, options.concurrency);
  worker.on('failed', (job, error) => {
    // The row is where the ledger says; an outage has been told.
    const level = isOutage(error) ? 'debug' : 'error';
    log[level]({ event: 'job-failed', job: job?.id, error: messageOf(error) }, 'a job failed');
  });
  worker.on('error', (error) => {
    if (isUnreadable(error)) feeder.sift();
  });
  worker.on('completed', () => reached('job-completed'));
  await worker.waitUntilReady();
  void worker.run();

  async function stop(timeoutMs: number | undefined): Promise<number> {
    stopping.abort();
    const closed = worker.close();
    const rowsDone = new Promise<void>((resolve) => {
      if (inFlight === 0) resolve();
      else idle = resolve;
    });
    if (timeoutMs === undefined) await rowsDone;
    else await within(timeoutMs, rowsDone, () => undefined);
    // The journal stays open, and its lock held: what is in flight may still need it.
    if (inFlight > 0) return inFlight;
    await within(CLOSING_MS, closeParts(closed), () => {
      log.warn(
        { event: 'closing-late' },
        'queue or ledger do not answer: left as they are; every row is recorded, and jobs are only wishes',
      );
    });
    reached('worker-closed');
    const bytes = await journal.close();
    reached('journal-closed');
    // All of it is recorded: the next start need not read it again. If the ledger is away just now, it will.
    if (allRecorded) {
      const remembered = rememberJournal(db, journal.name, bytes).catch(() => undefined);
      await within(CLOSING_MS, remembered, () => undefined);
    }
    reached('journal-remembered');
    return 0;
  }

  async function closeParts(closed: Promise<void>): Promise<void> {
    await closed;
    await feeder.stop();
    await stopSweeper();
    await quota.stop();
    await queue.close();
  }

  return {
    id,
    inFlight: () => inFlight,
    isFull: () => hold.isFull(),
    feederIdleMs: () => feeder.idleMs(),
    journal: () => ({ bytes: journal.bytes(), full: keeper.isFull() }),
    stop: (timeoutMs) => (stopped ??= stop(timeoutMs)),
  };
}
