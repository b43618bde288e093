import type { Queue } from 'bullmq';
import type { App } from '../../worker/app.ts';
import { limitsInForce } from '../../ledger/send/quota.ts';
import type { LimitInForce } from '../../ledger/send/quota.ts';
import { readStanding, tally } from '../../ledger/read/tally.ts';
import type { Standing } from '../../ledger/read/tally.ts';
import { countTasks } from '../../ledger/tasks/task.ts';
import { laneOf, openQueue } from '../../worker/queue/queue.ts';
import type { JobData, JobResult } from '../../worker/queue/queue.ts';
import type { Counts } from '../../core/submission.ts';
import type { TaskCounts } from '../../core/task.ts';
import { within } from '../../core/within.ts';
import type { RunningWorker } from '../../worker/worker.ts';
import { Paced } from './paced.ts';
import type { Health, Parts } from './parts.ts';

interface Dated<T> {
  value: T;
  at: Date;
}

/** What can be said now; what cannot be read is not there. */
export interface Survey {
  health: Health;
  rows?: Dated<Counts> | undefined;
  tasks?: Dated<TaskCounts> | undefined;
  standing?: Standing | undefined;
  queue?: Dated<Record<string, number>> | undefined;
  limits?: readonly LimitInForce[] | undefined;
  worker: Pick<RunningWorker, 'inFlight' | 'journal'> | undefined;
  draining: boolean;
}

/** Of what is asked for: no reading takes more than a fiftieth of the time, however many scrape. */
const SHARE = 50;
const LEAST_MS = 1_000;
/** Ten million rows take seconds to count; a few thousand need not be counted at every scrape either. */
const LEAST_COUNTING_MS = 5_000;
/** A scrape is given up after ten seconds unless told otherwise; it should come long before. */
const PATIENCE_MS = 2_000;

const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;

/** Reads what the metrics show of ledger and queue. Never rejects, and never waits long. */
export class Surveyor {
  readonly #parts: Parts;
  readonly #queue: Queue<JobData, JobResult>;
  readonly #rows: Paced<Counts>;
  readonly #tasks: Paced<TaskCounts>;
  readonly #standing: Paced<Standing>;
  readonly #limits: Paced<LimitInForce[]>;
  readonly #jobs: Paced<Record<string, number>>;

  constructor({ db, store, ledgerId }: Pick<App, 'db' | 'store' | 'ledgerId'>, parts: Parts) {
    this.#parts = parts;
    this.#queue = openQueue(store, laneOf(ledgerId, null), { skipMetasUpdate: true });
    // Whether it answers is asked for, and told by `vidbatch_up`.
    this.#queue.on('error', () => undefined);
    this.#rows = new Paced(() => tally(db), { share: SHARE, leastMs: LEAST_COUNTING_MS });
    this.#tasks = new Paced(() => countTasks(db, null), { share: SHARE, leastMs: LEAST_COUNTING_MS });
    this.#standing = new Paced(() => readStanding(db), { share: SHARE, leastMs: LEAST_MS });
    this.#limits = new Paced(() => limitsInForce(db, null), { share: SHARE, leastMs: LEAST_MS });
    this.#jobs = new Paced(() => this.#queue.getJobCounts(...JOB_STATES), {
      share: SHARE,
      leastMs: LEAST_MS,
    });
  }

  async look(worker: Survey['worker'], draining: boolean): Promise<Survey> {
    const health = await this.#parts.ask();
    const ledger = health.ledger === undefined;
    const [rows, tasks, standing, limits, queue] = await Promise.all([
      ledger ? soon(this.#rows) : undefined,
      ledger ? soon(this.#tasks) : undefined,
      ledger ? soon(this.#standing) : undefined,
      ledger ? soon(this.#limits) : undefined,
      health.queue === undefined ? soon(this.#jobs) : undefined,
    ]);
    return {
      health,
      rows,
      tasks,
      standing: standing?.value,
      limits: limits?.value,
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
