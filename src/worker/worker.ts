/**
 * The room `worker` feeds the queue, claims rows, sends each claimed row once and records the answer. It holds
 * the queue, the journal, the rate limits and the sweeper.
 * It may import results, batch, manifest, provider, ledger, database and core.
 */
import { UnrecoverableError } from 'bullmq';
import type { Job } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendChunk } from './chunk.ts';
import type { ChunkReport } from './chunk.ts';
import { createClerk } from './clerk.ts';
import type { Claimed } from './clerk.ts';
import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import { startFeeder } from './feeder.ts';
import { createHold } from './rate/hold.ts';
import type { Claim } from '../ledger/send/claim.ts';
import type { Database } from '../database/database.ts';
import type { Journal } from './journal/journal.ts';
import { keepJournal } from './journal/keeper.ts';
import { keepQuota } from './rate/quota-keeper.ts';
import { rememberOwnJournal } from '../ledger/send/journal.ts';
import type { Limit } from '../core/rate/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Outcome, Provider } from '../core/outcome.ts';
import { crashPoint } from '../core/crash-points.ts';
import { createPace } from './pace.ts';
import { showJob } from './job.ts';
import type { ShownJob } from './job.ts';
import { chunkOf, namesNoBatch } from './queue/chunk.ts';
import type { ChunkData, ChunkResult } from './queue/chunk.ts';
import { removeDeadQueues } from './queue/dead-queues.ts';
import { isUnreadable, openQueue, openWorker } from './queue/queue.ts';
import type { QueueStore } from './queue/queue.ts';
import { backoffMs, retryOf, throttleMs } from '../core/retry.ts';
import type { SameKey } from '../core/retry.ts';
import { brokenRule } from './broken-rule.ts';
import { createSlots } from './slots.ts';
import { submit } from './submit.ts';
import type { ClaimedRow, Clock, Settled, Verdict } from './submit.ts';
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
  /** The queue that it feeds, and takes jobs from. */
  queueName: string;
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  concurrency: number;
  queueDepth: number;
  maxAttempts: number;
  /** Models that the configuration allows beside the known ones. */
  models: readonly string[];
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
  /** Called after each row that was settled, and when the rows of a batch are blocked. */
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
/** More than the clock of the ledger may differ from this machine's. */
const CLOCKS_DIFFER_MS = 60_000;

const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

/** The BullMQ shell around `submit`: fills the queue, takes jobs, and claims and sends rows for each. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const {
    db,
    store,
    provider,
    journal,
    id,
    queueName,
    batches,
    concurrency,
    models,
    limits = [],
    log,
  } = options;
  const { random = Math.random, clock = systemClock } = options;
  const stopping = new AbortController();
  let allRecorded = true;
  let recorded = 0;
  const startedAt = clock.wall();
  let stopped: Promise<number> | undefined;
  let lastClaim: Promise<unknown> = Promise.resolve();

  const keeper = keepJournal(journal, log);
  const quota = keepQuota(db, provider.origin, limits, log);
  const hold = createHold(clock, options.onFull);
  const slots = createSlots(concurrency);
  const pace = createPace(clock, { concurrency, most: options.queueDepth });
  const scope = { origin: provider.origin, batches, limits };
  const clerk = createClerk(
    db,
    { ...scope, worker: id, lifetimeMs: options.timeoutMs + DEADLINE_MARGIN_MS },
    log,
    stopping.signal,
  );
  const queue = openQueue(store, queueName);
  const feeder = startFeeder(queueName, { db, queue, scope, pace, log });
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

  /** Waits for what all rows wait for: the end of a throttle, and room in the journal. False: the worker stops. */
  async function mayClaim(): Promise<boolean> {
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

  function oneByOne<T>(act: () => Promise<T>): Promise<T> {
    const next = lastClaim.then(act);
    lastClaim = next.catch(() => undefined);
    return next;
  }

  async function perform(job: Job<ChunkData, ChunkResult>): Promise<ChunkResult> {
    crashPoint('job-taken');
    const chunk = chunkOf(job.data);
    if (chunk === undefined) throw namesNoBatch('its data holds no batch and number of rows');
    const shown = showJob(job, chunk, db, log);
    let report: ChunkReport | undefined;
    try {
      report = await sendChunk(chunk, {
        slots,
        clock,
        oneByOne,
        mayClaim,
        isStopping: () => stopping.signal.aborted,
        pause: (ms) => pause(ms).catch(() => undefined),
        claim: clerk.claim,
        send: async (row) => {
          const settled = await send(row);
          shown.settled();
          return settled;
        },
        onClaimed: (claimed) => note(chunk.batch, shown, claimed),
      });
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      return { rows: 0, 'no more rows': 'the worker stopped' };
    } finally {
      shown.stop();
      // Rows that seem to be free and cannot be claimed would seem so again at once.
      if (shown.size > 0) feeder.poke();
    }
    if (report.blocked?.reason === 'unknown') throw namesNoBatch(`the ledger has no batch ${chunk.batch}`);
    return shown.end(report);
  }

  function note(batchId: number, shown: ShownJob, { claims, blocked }: Claimed): void {
    shown.claimed(claims);
    pace.claimed(claims.length);
    if (blocked === undefined) return;
    hold.hears(blocked);
    if (claims.length > 0) return;
    const verdict = { kind: 'blocked', batchId, blocked } as const;
    tellVerdict(log, verdict);
    options.onVerdict?.(verdict);
  }

  async function send(row: ClaimedRow): Promise<Settled> {
    const began = clock.monotonic();
    try {
      const settled = await submit(row, {
        journal: keeper.written,
        check: ({ request }) => brokenRule(request, models),
        provider,
        record: clerk.record,
        wait,
        maxAttempts: options.maxAttempts,
        sameKey: options.sameKey,
        ledgerId: options.ledgerId,
        clock,
        pause: (ms) => sleep(ms),
      });
      recorded += 1;
      quota.settled(clock.monotonic() - began);
      if (settled.outcome.kind === 'throttled') {
        hold.forMs(settled.waitMs);
        await quota.refused(settled.claim.attemptId, settled.waitMs);
      }
      tellVerdict(log, settled);
      options.onVerdict?.(settled);
      return settled;
    } catch (error) {
      // An answer may stand in the journal alone: the next start has to read it.
      allRecorded = false;
      throw error;
    }
  }

  const worker = openWorker(store, queueName, perform, pace.jobs, id);
  worker.on('failed', (job, error) => {
    // Each row has its own line in this log; an outage has been told.
    const level = isOutage(error) || error instanceof UnrecoverableError ? 'debug' : 'error';
    log[level]({ event: 'job-failed', job: job?.id, error: messageOf(error) }, 'a job failed');
  });
  worker.on('error', (error) => {
    if (isUnreadable(error)) feeder.sift();
  });
  worker.on('completed', () => crashPoint('job-completed'));
  await worker.waitUntilReady();
  void worker.run();

  async function stop(timeoutMs: number | undefined): Promise<number> {
    stopping.abort();
    const closed = worker.close();
    if (timeoutMs === undefined) await slots.allFree();
    else await within(timeoutMs, slots.allFree(), () => undefined);
    // The journal stays open, and its lock held: what is in flight may still need it.
    if (slots.inUse() > 0) return slots.inUse();
    await within(CLOSING_MS, closeParts(closed), () => {
      log.warn(
        { event: 'closing-late' },
        'queue or ledger do not answer: left as they are; every row is recorded, and jobs can be lost safely',
      );
    });
    crashPoint('worker-closed');
    const bytes = await journal.close();
    crashPoint('journal-closed');
    // All of it is recorded: the next start need not read it again. If the ledger is away just now, it will.
    if (allRecorded) {
      const own = { worker: id, since: new Date(startedAt - CLOCKS_DIFFER_MS), recorded };
      const remembered = rememberOwnJournal(db, { name: journal.name, bytes }, own).catch(() => undefined);
      await within(CLOSING_MS, remembered, () => undefined);
    }
    crashPoint('journal-remembered');
    return 0;
  }

  async function closeParts(closed: Promise<void>): Promise<void> {
    await closed;
    await feeder.stop();
    await stopSweeper();
    await quota.stop();
    // The queue of a run goes with it: its rows are in the ledger.
    if (batches !== null) await queue.obliterate({ force: true }).catch(() => undefined);
    await queue.close();
    // Not while rows are sent: when BullMQ closes a queue on Postgres, a break of its connection would end the process.
    await removeDeadQueues(db, store, options.ledgerId).catch(() => undefined);
  }

  return {
    id,
    inFlight: () => slots.inUse(),
    isFull: () => hold.isFull(),
    feederIdleMs: () => feeder.idleMs(),
    journal: () => ({ bytes: journal.bytes(), full: keeper.isFull() }),
    stop: (timeoutMs) => (stopped ??= stop(timeoutMs)),
  };
}
