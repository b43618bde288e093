import type { Counts } from '../../core/states.ts';
import type { TaskCounts } from '../../core/task-status.ts';
import { within } from '../../core/within.ts';
import { countStates } from '../../ledger/batches.ts';
import { readCosts, type Cost } from '../../ledger/money/costs.ts';
import { readOldestPending } from '../../ledger/read/backlog.ts';
import { readTrouble, type Trouble } from '../../ledger/read/trouble.ts';
import { limitsInForce, type LimitInForce } from '../../ledger/send/quota.ts';
import { countDying, countTasks } from '../../ledger/tasks/tasks.ts';
import { readWorkers, type SeenWorker } from '../../ledger/workers.ts';
import type { App } from '../../worker/app.ts';
import { queueName } from '../../worker/queue/name.ts';
import { countByState, openQueue, type ChunkQueue } from '../../worker/queue/queue.ts';
import type { RunningWorker } from '../../worker/worker.ts';
import type { Health, HealthCheck } from './health.ts';

interface Dated<T> {
  value: T;
  at: Date;
}

/** What is known now. Undefined: it could not be read. */
export interface Survey {
  health: Health;
  rows?: Dated<Counts> | undefined;
  tasks?: Dated<TaskCounts> | undefined;
  /** Completed videos that are not downloaded, and whose URLs expire soon. */
  dying?: number | undefined;
  trouble?: Trouble | undefined;
  /** Since the oldest pending row was imported or first tried; 0: no row is pending. */
  oldestPendingSeconds?: number | undefined;
  queue?: Dated<Record<string, number>> | undefined;
  limits?: readonly LimitInForce[] | undefined;
  workers?: readonly SeenWorker[] | undefined;
  costs?: readonly Cost[] | undefined;
  worker: Pick<RunningWorker, 'inFlight' | 'journal'> | undefined;
  draining: boolean;
}

/** A reading takes at most one fiftieth of the time, however many clients scrape. */
const SHARE = 50;
const READING = { share: SHARE, leastMs: 1_000 };
/** Ten million rows take seconds to count. Even a few thousand need not be counted at every scrape. */
const COUNTING = { share: SHARE, leastMs: 5_000 };
/** By default Prometheus gives a scrape up after ten seconds. */
const PATIENCE_MS = 2_000;

/** Reads what the metrics show about ledger and queue. It never rejects, and never waits long. */
export class Surveyor {
  readonly #parts: HealthCheck;
  readonly #queue: ChunkQueue;
  readonly #rows: Paced<Counts>;
  readonly #tasks: Paced<TaskCounts>;
  readonly #dying: Paced<number>;
  readonly #trouble: Paced<Trouble>;
  readonly #oldestPending: Paced<number>;
  readonly #limits: Paced<LimitInForce[]>;
  readonly #workers: Paced<SeenWorker[]>;
  readonly #costs: Paced<Cost[]>;
  readonly #jobs: Paced<Record<string, number>>;

  constructor({ db, store, ledgerId }: Pick<App, 'db' | 'store' | 'ledgerId'>, parts: HealthCheck) {
    this.#parts = parts;
    this.#queue = openQueue(store, queueName(ledgerId, null), { skipMetasUpdate: true });
    // `vidbatch_up` says whether it answers.
    this.#queue.on('error', () => undefined);
    this.#rows = new Paced(() => countStates(db, null), COUNTING);
    this.#tasks = new Paced(() => countTasks(db, null), COUNTING);
    this.#dying = new Paced(() => countDying(db), COUNTING);
    this.#trouble = new Paced(() => readTrouble(db), READING);
    this.#oldestPending = new Paced(() => readOldestPending(db), READING);
    this.#limits = new Paced(() => limitsInForce(db, null), READING);
    this.#workers = new Paced(() => readWorkers(db), READING);
    const all = { batchId: null, since: null, by: ['model'], zone: 'UTC' } as const;
    this.#costs = new Paced(() => readCosts(db, all), COUNTING);
    this.#jobs = new Paced(() => countByState(this.#queue), READING);
  }

  async look(worker: Survey['worker'], draining: boolean): Promise<Survey> {
    const health = await this.#parts.ask();
    const ledger = health.ledger === undefined;
    const [rows, tasks, dying, trouble, oldestPending, limits, workers, costs, queue] = await Promise.all([
      ledger ? soon(this.#rows) : undefined,
      ledger ? soon(this.#tasks) : undefined,
      ledger ? soon(this.#dying) : undefined,
      ledger ? soon(this.#trouble) : undefined,
      ledger ? soon(this.#oldestPending) : undefined,
      ledger ? soon(this.#limits) : undefined,
      ledger ? soon(this.#workers) : undefined,
      ledger ? soon(this.#costs) : undefined,
      health.queue === undefined ? soon(this.#jobs) : undefined,
    ]);
    return {
      health,
      rows,
      tasks,
      dying: dying?.value,
      trouble: trouble?.value,
      oldestPendingSeconds: oldestPending?.value,
      limits: limits?.value,
      workers: workers?.value,
      costs: costs?.value,
      queue,
      worker,
      draining,
    };
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}

function soon<T>(paced: Paced<T>): Promise<Dated<T> | undefined> {
  return within<Dated<T> | undefined>(PATIENCE_MS, paced.value(), () => undefined);
}

/**
 * A reading that takes time. It is read once at a time, and again only after `share` times its duration, so that it takes at
 * most one `share`-th of the time, however many callers ask.
 */
export class Paced<T> {
  readonly #read: () => Promise<T>;
  readonly #share: number;
  readonly #leastMs: number;
  #known: { value: T; at: Date } | undefined;
  #until = 0;
  #reading: Promise<void> | undefined;

  constructor(read: () => Promise<T>, { share, leastMs }: { share: number; leastMs: number }) {
    this.#read = read;
    this.#share = share;
    this.#leastMs = leastMs;
  }

  /** The last value at once, if there is one, while a new one is read for later callers. Never rejects. */
  async value(): Promise<{ value: T; at: Date } | undefined> {
    if (performance.now() >= this.#until) this.#reading ??= this.#take();
    if (this.#known === undefined) await this.#reading;
    return this.#known;
  }

  async #take(): Promise<void> {
    const started = performance.now();
    try {
      this.#known = { value: await this.#read(), at: new Date() };
    } catch {
      // The caller sees that there is no value. The old one is out of date.
      this.#known = undefined;
    } finally {
      const cost = performance.now() - started;
      this.#until = performance.now() + Math.max(this.#leastMs, this.#share * cost);
      this.#reading = undefined;
    }
  }
}
