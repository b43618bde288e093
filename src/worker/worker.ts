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
import { createLedgerWriter } from './ledger-writer.ts';
import type { Claimed } from './ledger-writer.ts';
import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import { startFeeder } from './feeder.ts';
import { createCooldown } from './rate/cooldown.ts';
import type { Claim } from '../ledger/send/claim.ts';
import type { Database } from '../database/database.ts';
import type { Journal } from './journal/journal.ts';
import { startHeartbeat } from './heartbeat.ts';
import { keepJournal } from './journal/keeper.ts';
import { keepQuota } from './rate/quota-keeper.ts';
import { rememberOwnJournal } from '../ledger/send/journal.ts';
import type { Limit } from '../core/rate/rate-limits.ts';
import type { Logger } from '../core/log.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Provider } from '../provider/client.ts';
import { crashPoint } from '../core/crash-points.ts';
import { createPace } from './pace.ts';
import { showJob } from './job.ts';
import type { ShownJob } from './job.ts';
import { chunkOf, namesNoBatch } from './queue/chunk.ts';
import type { ChunkData, ChunkResult } from './queue/chunk.ts';
import { isUnreadable, openQueue, openWorker, removeDeadQueues } from './queue/queue.ts';
import type { QueueStore } from './queue/queue.ts';
import { backoffMs, retryOf, throttleMs } from '../core/retry-policy.ts';
import type { SameKey } from '../core/retry-policy.ts';
import type { RememberedProfiles } from '../provider/profile/remembered.ts';
import { createSlots } from './slots.ts';
import { createSpeaker } from './speaker.ts';
import { submit } from './submit.ts';
import type { ClaimedRow, Clock, Settled, Verdict } from './submit.ts';
import { againOf, startSweeper } from './sweeper.ts';
import { logVerdict } from './row-log.ts';
import { within } from '../core/within.ts';

export interface WorkerOptions {
  db: Database;
  store: QueueStore;
  provider: Provider;
  /** The journal of this worker. The worker closes it. */
  journal: Journal;
  /** The name of this worker in the ledger, new for each start. */
  id: string;
  ledgerId: string;
  /** The queue that it feeds and takes jobs from. */
  queueName: string;
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  concurrency: number;
  queueDepth: number;
  maxAttempts: number;
  /** Models that the configuration allows besides the known ones. */
  models: readonly string[];
  /** Whether there is an API key. */
  hasKey: boolean;
  /** By which the rows of each batch are checked and sent. */
  profiles: RememberedProfiles;
  /** Milliseconds for one whole exchange with the provider. */
  timeoutMs: number;
  /** Limits of all workers together, sorted by model. */
  limits?: readonly Limit[];
  log: Logger;
  random?: () => number;
  clock?: Clock;
  /** Called when rows begin to wait for tasks to end. */
  onFull?: () => void;
  /** Called after each row that was settled, and when the rows of a batch are blocked. */
  onVerdict?: (verdict: Verdict) => void;
}

export interface RunningWorker {
  /** The name of this worker in the ledger. */
  readonly id: string;
  /** Rows that are being claimed, sent or recorded. */
  inFlight(): number;
  /** Whether rows have recently waited for tasks of the provider to end. */
  isFull(): boolean;
  /** Milliseconds since the last turn of the feeder. */
  feederIdleMs(): number;
  /** The length of its journal, and whether the disk has no room for more. */
  journal(): { bytes: number; full: boolean };
  /**
   * Takes no more rows, and finishes and records those in flight. After `timeoutMs` (default: no limit) it resolves with
   * the number of rows that are not recorded. These continue for as long as the process lives.
   */
  stop(timeoutMs?: number): Promise<number>;
}

/** A deadline is the whole exchange and this margin after the claim, so that only rows of dead workers are swept. */
const DEADLINE_MARGIN_MS = 60_000;
const JOURNAL_PAUSE_MS = 5_000;
/** Once the rows are recorded, a worker waits at most this long for a queue or a ledger that does not answer. */
const CLOSING_MS = 3_000;
/** The clocks of the ledger and of this machine differ by less. */
const CLOCKS_DIFFER_MS = 60_000;

const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

/** The BullMQ worker around `submit`: it fills the queue, takes jobs, and claims and sends rows for each job. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const { db, store, provider, journal, id, queueName, batches, concurrency, limits = [], log } = options;
  const { random = Math.random, clock = systemClock } = options;
  const stopping = new AbortController();
  let allRecorded = true;
  let recorded = 0;
  const startedAt = clock.wall();
  let stopped: Promise<number> | undefined;
  let lastClaim: Promise<unknown> = Promise.resolve();

  const keeper = keepJournal(journal, log);
  const quota = keepQuota(db, provider.origin, limits, log);
  const cooldown = createCooldown(clock, options.onFull);
  const slots = createSlots(concurrency);
  const speaker = createSpeaker(options);
  const pace = createPace(clock, { concurrency, most: options.queueDepth });
  const scope = { origin: provider.origin, batches, limits };
  const writer = createLedgerWriter(
    db,
    { ...scope, worker: id, lifetimeMs: options.timeoutMs + DEADLINE_MARGIN_MS },
    log,
    stopping.signal,
  );
  const queue = openQueue(store, queueName);
  const feeder = startFeeder(queueName, { db, queue, scope, pace, log });
  const pulse = () => ({ inFlight: slots.inUse(), recorded, draining: stopping.signal.aborted });
  const heartbeat = startHeartbeat(db, { id, concurrency, ...scope }, pulse, log);
  const stopSweeper = startSweeper(db, log, () =>
    againOf(provider.origin, options.maxAttempts, options.profiles),
  );

  function wait(claim: Claim, outcome: Outcome, sameKey: SameKey | undefined): number {
    if (outcome.kind === 'throttled') {
      return throttleMs({
        level: claim.throttleLevel,
        random,
        baseMs: quota.throttleBaseMs(),
        retryAfterMs: outcome.retry.afterMs,
      });
    }
    const retry = retryOf(outcome, sameKey);
    return retry === undefined ? 0 : (retry.afterMs ?? backoffMs({ attempt: claim.spent + 1, random }));
  }

  /** Waits for the end of a throttle, and for room in the journal. False: the worker stops. */
  async function mayClaim(): Promise<boolean> {
    try {
      while (cooldown.leftMs() > 0) await pause(cooldown.leftMs());
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
        claim,
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
      // If it claimed nothing, the next look would make the same job again at once.
      if (shown.size > 0) feeder.poke();
    }
    if (report.blocked?.reason === 'unknown') throw namesNoBatch(`the ledger has no batch ${chunk.batch}`);
    return shown.end(report);
  }

  async function claim(batchId: number, rows: number): Promise<Claimed> {
    await speaker.ready(batchId);
    return writer.claim(batchId, rows);
  }

  function note(batchId: number, shown: ShownJob, { claims, blocked }: Claimed): void {
    shown.claimed(claims);
    pace.claimed(claims.length);
    if (blocked === undefined) return;
    cooldown.note(blocked);
    if (claims.length > 0) return;
    const verdict = { kind: 'blocked', batchId, blocked } as const;
    logVerdict(log, verdict);
    options.onVerdict?.(verdict);
  }

  async function send(row: ClaimedRow): Promise<Settled> {
    const began = clock.monotonic();
    try {
      const speech = await speaker.of(row.claim);
      const settled = await submit(row, {
        ...speech,
        journal: keeper.written,
        record: writer.record,
        wait: (claim, outcome) => wait(claim, outcome, speech.sameKey),
        maxAttempts: options.maxAttempts,
        ledgerId: options.ledgerId,
        clock,
        pause: (ms) => sleep(ms),
      });
      recorded += 1;
      quota.settled(clock.monotonic() - began);
      if (settled.outcome.kind === 'throttled') {
        cooldown.start(settled.waitMs);
        await quota.refused(settled.claim.attemptId, settled.waitMs);
      }
      logVerdict(log, settled);
      options.onVerdict?.(settled);
      return settled;
    } catch (error) {
      // The journal may hold an answer that the ledger lacks: the next start must read it.
      allRecorded = false;
      throw error;
    }
  }

  const worker = openWorker(store, queueName, perform, pace.jobs, id);
  worker.on('failed', (job, error) => {
    // Each row has its own line in this log, and the connection has logged an outage.
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
    void heartbeat.beat();
    const closed = worker.close();
    if (timeoutMs === undefined) await slots.allFree();
    else await within(timeoutMs, slots.allFree(), () => undefined);
    // The journal stays open and locked: rows in flight may still need it.
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
    // All answers are recorded, so the next start need not read the journal. If the ledger is away now, it does.
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
    await heartbeat.stop();
    // A run removes its queue: the rows are in the ledger.
    if (batches !== null) await queue.obliterate({ force: true }).catch(() => undefined);
    await queue.close();
    // Not while rows are sent: if a connection breaks while BullMQ closes a queue on Postgres, the process ends.
    await removeDeadQueues(db, store, options.ledgerId).catch(() => undefined);
  }

  return {
    id,
    inFlight: () => slots.inUse(),
    isFull: () => cooldown.isFull(),
    feederIdleMs: () => feeder.idleMs(),
    journal: () => ({ bytes: journal.bytes(), full: keeper.isFull() }),
    stop: (timeoutMs) => (stopped ??= stop(timeoutMs)),
  };
}
