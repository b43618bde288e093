/**
 * The room `worker` feeds the queue, claims rows, sends each claimed row once and records the answer. It holds
 * the queue, the journal, the rate limits and the sweeper.
 * It may import results, batch, manifest, provider, ledger, database and core.
 */
import { UnrecoverableError, type Worker } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLedgerWriter } from './ledger-writer.ts';
import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import { startFeeder, type Feeder } from './feeder.ts';
import { createCooldown, type Cooldown } from './rate/cooldown.ts';
import type { Database } from '../database/database.ts';
import type { Journal } from './journal/journal.ts';
import { startHeartbeat, type Heartbeat } from './heartbeat.ts';
import { keepJournal, type JournalKeeper } from './journal/keeper.ts';
import { keepQuota, type QuotaKeeper } from './rate/quota-keeper.ts';
import { rememberOwnJournal } from '../ledger/send/journal.ts';
import type { WorkerPulse } from '../ledger/workers.ts';
import type { Limit } from '../core/rate/rate-limits.ts';
import type { Logger } from '../core/log.ts';
import type { Provider } from '../provider/client.ts';
import { crashPoint } from '../core/crash-points.ts';
import { createPace } from './pace.ts';
import { createJobRunner } from './job-runner.ts';
import type { ChunkData, ChunkResult } from './queue/chunk.ts';
import {
  isUnreadable,
  openQueue,
  openWorker,
  removeDeadQueues,
  type ChunkQueue,
  type QueueStore,
} from './queue/queue.ts';
import type { RememberedProfiles } from '../provider/profile/remembered.ts';
import { createRowSender, type RowSender } from './row-sender.ts';
import { createSharedWatch } from './given-tasks.ts';
import { createSlots, type Slots } from './slots.ts';
import { createSpeaker } from './speaker.ts';
import type { Clock, Verdict } from './submit.ts';
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
/** Once the rows are recorded, a worker waits at most this long for a queue or a ledger that does not answer. */
const CLOSING_MS = 3_000;
/** The clocks of the ledger and of this machine differ by less. */
const CLOCKS_DIFFER_MS = 60_000;

/** The BullMQ worker around `submit`: it fills the queue, takes jobs, and claims and sends rows for each job. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const worker = new QueueWorker(options);
  await worker.takeJobs();
  return worker;
}

class QueueWorker implements RunningWorker {
  readonly id: string;
  readonly #options: WorkerOptions;
  readonly #stopping = new AbortController();
  readonly #startedAt: number;
  readonly #keeper: JournalKeeper;
  readonly #quota: QuotaKeeper;
  readonly #cooldown: Cooldown;
  readonly #slots: Slots;
  readonly #sender: RowSender;
  readonly #queue: ChunkQueue;
  readonly #feeder: Feeder;
  readonly #heartbeat: Heartbeat;
  readonly #stopSweeper: () => Promise<void>;
  readonly #worker: Worker<ChunkData, ChunkResult>;
  #stopped: Promise<number> | undefined;

  constructor(options: WorkerOptions) {
    const { db, store, provider, id, queueName, concurrency, batches, maxAttempts, profiles, log } = options;
    const { limits = [] } = options;
    const { origin } = provider;
    const clock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };
    const scope = { origin, batches, limits };
    this.id = id;
    this.#options = options;
    this.#startedAt = clock.wall();
    this.#keeper = keepJournal(options.journal, log);
    this.#quota = keepQuota(db, origin, limits, log);
    this.#cooldown = createCooldown(clock, options.onFull);
    this.#slots = createSlots(concurrency);
    const speaker = createSpeaker(options);
    const pace = createPace(clock, { concurrency, most: options.queueDepth });
    const lifetimeMs = options.timeoutMs + DEADLINE_MARGIN_MS;
    const writer = createLedgerWriter(db, { ...scope, worker: id, lifetimeMs }, log, this.#stopping.signal);
    this.#sender = createRowSender({
      speaker,
      quota: this.#quota,
      cooldown: this.#cooldown,
      random: Math.random,
      clock,
      journal: this.#keeper.written,
      record: writer.record,
      maxAttempts,
      ledgerId: options.ledgerId,
      pause: (ms) => sleep(ms),
      onSettled: (settled) => this.#tell(settled),
      watchShared: createSharedWatch(db, log),
    });
    this.#queue = openQueue(store, queueName);
    this.#feeder = startFeeder(queueName, { db, queue: this.#queue, scope, pace, log });
    this.#heartbeat = startHeartbeat(db, { id, concurrency, ...scope }, () => this.#pulse(), log);
    this.#stopSweeper = startSweeper(db, log, () => againOf(origin, maxAttempts, profiles));
    const run = createJobRunner({
      db,
      log,
      slots: this.#slots,
      clock,
      speaker,
      writer,
      sender: this.#sender,
      keeper: this.#keeper,
      cooldown: this.#cooldown,
      pace,
      feeder: this.#feeder,
      stopping: this.#stopping.signal,
      onBlocked: (batchId, blocked) => this.#tell({ kind: 'blocked', batchId, blocked }),
    });
    this.#worker = openWorker(store, queueName, run, pace.jobs, id);
  }

  async takeJobs(): Promise<void> {
    const { log } = this.#options;
    this.#worker.on('failed', (job, error) => {
      // Each row has its own line in this log, and the connection has logged an outage.
      const level = isOutage(error) || error instanceof UnrecoverableError ? 'debug' : 'error';
      log[level]({ event: 'job-failed', job: job?.id, error: messageOf(error) }, 'a job failed');
    });
    this.#worker.on('error', (error) => {
      if (isUnreadable(error)) this.#feeder.sift();
    });
    this.#worker.on('completed', () => crashPoint('job-completed'));
    await this.#worker.waitUntilReady();
    void this.#worker.run();
  }

  inFlight(): number {
    return this.#slots.inUse();
  }

  isFull(): boolean {
    return this.#cooldown.isFull();
  }

  feederIdleMs(): number {
    return this.#feeder.idleMs();
  }

  journal(): { bytes: number; full: boolean } {
    return { bytes: this.#options.journal.bytes(), full: this.#keeper.isFull() };
  }

  stop(timeoutMs?: number): Promise<number> {
    return (this.#stopped ??= this.#stop(timeoutMs));
  }

  #pulse(): Omit<WorkerPulse, 'perSecond'> {
    return {
      inFlight: this.inFlight(),
      recorded: this.#sender.recorded(),
      draining: this.#stopping.signal.aborted,
    };
  }

  #tell(verdict: Verdict): void {
    logVerdict(this.#options.log, verdict);
    this.#options.onVerdict?.(verdict);
  }

  async #stop(timeoutMs: number | undefined): Promise<number> {
    this.#stopping.abort();
    void this.#heartbeat.beat();
    const closed = this.#worker.close();
    if (timeoutMs === undefined) await this.#slots.allFree();
    else await within(timeoutMs, this.#slots.allFree(), () => undefined);
    // The journal stays open and locked: rows in flight may still need it.
    if (this.inFlight() > 0) return this.inFlight();
    await within(CLOSING_MS, this.#closeParts(closed), () => {
      this.#options.log.warn(
        { event: 'closing-late' },
        'queue or ledger do not answer: left as they are; every row is recorded, and jobs can be lost safely',
      );
    });
    crashPoint('worker-closed');
    await this.#closeJournal();
    return 0;
  }

  async #closeParts(closed: Promise<void>): Promise<void> {
    const { db, store, ledgerId, batches } = this.#options;
    await closed;
    await this.#feeder.stop();
    await this.#stopSweeper();
    await this.#quota.stop();
    await this.#heartbeat.stop();
    // A run removes its queue: the rows are in the ledger.
    if (batches !== null) await this.#queue.obliterate({ force: true }).catch(() => undefined);
    await this.#queue.close();
    // Not while rows are sent: if a connection breaks while BullMQ closes a queue on Postgres, the process ends.
    await removeDeadQueues(db, store, ledgerId).catch(() => undefined);
  }

  async #closeJournal(): Promise<void> {
    const { db, journal, id: worker } = this.#options;
    const bytes = await journal.close();
    crashPoint('journal-closed');
    // All answers are recorded, so the next start need not read the journal. If the ledger is away now, it does.
    if (this.#sender.hasRecordedAll()) {
      const since = new Date(this.#startedAt - CLOCKS_DIFFER_MS);
      const own = { worker, since, recorded: this.#sender.recorded() };
      const remembered = rememberOwnJournal(db, { name: journal.name, bytes }, own).catch(() => undefined);
      await within(CLOSING_MS, remembered, () => undefined);
    }
    crashPoint('journal-remembered');
  }
}
