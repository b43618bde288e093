import { messageOf } from '../../core/errors.ts';
import type { Counts } from '../../core/states.ts';
import type { TaskCounts } from '../../core/task-status.ts';
import { within } from '../../core/within.ts';
import type { Queryable } from '../../database/database.ts';
import { countStates } from '../../ledger/batches.ts';
import { readCosts } from '../../ledger/money/costs.ts';
import type { Cost } from '../../ledger/money/costs.ts';
import { readAlerts } from '../../ledger/read/alerts.ts';
import type { Alerts } from '../../ledger/read/alerts.ts';
import { limitsInForce } from '../../ledger/send/quota.ts';
import type { LimitInForce } from '../../ledger/send/quota.ts';
import { countTasks } from '../../ledger/tasks/tasks.ts';
import { readWorkers } from '../../ledger/workers.ts';
import type { SeenWorker } from '../../ledger/workers.ts';
import type { App } from '../../worker/app.ts';
import { queueName } from '../../worker/queue/name.ts';
import { countByState, openQueue } from '../../worker/queue/queue.ts';
import type { ChunkQueue } from '../../worker/queue/queue.ts';
import type { RunningWorker } from '../../worker/worker.ts';

interface Dated<T> {
  value: T;
  at: Date;
}

/** What is known now. Undefined: it could not be read. */
export interface Survey {
  health: Health;
  rows?: Dated<Counts> | undefined;
  tasks?: Dated<TaskCounts> | undefined;
  standing?: Alerts | undefined;
  queue?: Dated<Record<string, number>> | undefined;
  limits?: readonly LimitInForce[] | undefined;
  workers?: readonly SeenWorker[] | undefined;
  costs?: readonly Cost[] | undefined;
  worker: Pick<RunningWorker, 'inFlight' | 'journal'> | undefined;
  draining: boolean;
}

/** A reading takes at most one fiftieth of the time, however many clients scrape. */
const SHARE = 50;
const LEAST_MS = 1_000;
/** Ten million rows take seconds to count. Even a few thousand need not be counted at every scrape. */
const LEAST_COUNTING_MS = 5_000;
/** By default Prometheus gives a scrape up after ten seconds. */
const PATIENCE_MS = 2_000;

/** Reads what the metrics show about ledger and queue. It never rejects, and never waits long. */
export class Surveyor {
  readonly #parts: HealthCheck;
  readonly #queue: ChunkQueue;
  readonly #rows: Paced<Counts>;
  readonly #tasks: Paced<TaskCounts>;
  readonly #standing: Paced<Alerts>;
  readonly #limits: Paced<LimitInForce[]>;
  readonly #workers: Paced<SeenWorker[]>;
  readonly #costs: Paced<Cost[]>;
  readonly #jobs: Paced<Record<string, number>>;

  constructor({ db, store, ledgerId }: Pick<App, 'db' | 'store' | 'ledgerId'>, parts: HealthCheck) {
    this.#parts = parts;
    this.#queue = openQueue(store, queueName(ledgerId, null), { skipMetasUpdate: true });
    // `vidbatch_up` says whether it answers.
    this.#queue.on('error', () => undefined);
    this.#rows = new Paced(() => countStates(db, null), { share: SHARE, leastMs: LEAST_COUNTING_MS });
    this.#tasks = new Paced(() => countTasks(db, null), { share: SHARE, leastMs: LEAST_COUNTING_MS });
    this.#standing = new Paced(() => readAlerts(db), { share: SHARE, leastMs: LEAST_MS });
    this.#limits = new Paced(() => limitsInForce(db, null), { share: SHARE, leastMs: LEAST_MS });
    this.#workers = new Paced(() => readWorkers(db), { share: SHARE, leastMs: LEAST_MS });
    const all = { batchId: null, since: null, by: ['model'], zone: 'UTC' } as const;
    this.#costs = new Paced(() => readCosts(db, all), { share: SHARE, leastMs: LEAST_COUNTING_MS });
    this.#jobs = new Paced(() => countByState(this.#queue), {
      share: SHARE,
      leastMs: LEAST_MS,
    });
  }

  async look(worker: Survey['worker'], draining: boolean): Promise<Survey> {
    const health = await this.#parts.ask();
    const ledger = health.ledger === undefined;
    const [rows, tasks, standing, limits, workers, costs, queue] = await Promise.all([
      ledger ? soon(this.#rows) : undefined,
      ledger ? soon(this.#tasks) : undefined,
      ledger ? soon(this.#standing) : undefined,
      ledger ? soon(this.#limits) : undefined,
      ledger ? soon(this.#workers) : undefined,
      ledger ? soon(this.#costs) : undefined,
      health.queue === undefined ? soon(this.#jobs) : undefined,
    ]);
    return {
      health,
      rows,
      tasks,
      standing: standing?.value,
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

/** What a worker needs. */
export const PARTS = ['ledger', 'queue'] as const;
export type Part = (typeof PARTS)[number];

/** Why a part does not answer; undefined when it does. */
export type Health = Record<Part, string | undefined>;

/** A part that takes longer counts as away, because probes wait one or two seconds. */
const ANSWER_MS = 1_500;

interface Asked {
  asking: Promise<string | undefined> | undefined;
  /** Since when it has always answered, by the monotonic clock; undefined: the last time it did not. */
  since: number | undefined;
}

/** Asks whether ledger and queue answer. Each gets one query at a time, even if many callers wait for it. */
export class HealthCheck {
  readonly #app: Pick<App, 'db' | 'store'>;
  readonly #asked: Record<Part, Asked> = {
    ledger: { asking: undefined, since: undefined },
    queue: { asking: undefined, since: undefined },
  };

  constructor(app: Pick<App, 'db' | 'store'>) {
    this.#app = app;
  }

  async ask(): Promise<Health> {
    const [ledger, queue] = await Promise.all(PARTS.map((part) => this.#askOne(part)));
    return { ledger, queue };
  }

  /** For how many milliseconds both parts have always answered; 0: one did not answer. */
  answeringMs(): number {
    const since = PARTS.map((part) => this.#asked[part].since ?? Infinity);
    return Math.max(0, performance.now() - Math.max(...since));
  }

  async #askOne(part: Part): Promise<string | undefined> {
    const asked = this.#asked[part];
    asked.asking ??= this.#ping(part)
      .then(() => undefined, reasonOf)
      .finally(() => (asked.asking = undefined));
    const reason = await within(ANSWER_MS, asked.asking, () => `no answer within ${ANSWER_MS / 1000} s`);
    asked.since = reason === undefined ? (asked.since ?? performance.now()) : undefined;
    return reason;
  }

  async #ping(part: Part): Promise<void> {
    const { db, store } = this.#app;
    if (part === 'ledger') await db.query('select 1');
    else if (store.kind === 'postgres') await (store.pool as unknown as Queryable).query('select 1');
    // A PING would wait in the client until the connection comes back.
    else if (store.redis.status !== 'ready') throw new Error(`not connected: ${store.redis.status}`);
    else await store.redis.ping();
  }
}

/** Connection errors of several addresses come as an AggregateError with an empty message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return messageOf(error) || 'it failed without a message';
}
