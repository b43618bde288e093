import { findBatch, listBatches } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { readPage, findRowIds, findSubmissionById } from '../ledger/read/rows.ts';
import { readAttempts, readTrail } from '../ledger/read/row-history.ts';
import type { PageRow, RowsAsked, SubmissionView } from '../ledger/read/rows.ts';
import type { AttemptView, TrailView } from '../ledger/read/row-history.ts';
import { readNumbers } from '../ledger/read/batch-numbers.ts';
import { readTasks } from '../ledger/tasks/tasks.ts';
import type { TaskView } from '../ledger/tasks/tasks.ts';
import { listSchedules } from '../ledger/schedules/schedules.ts';
import type { Gate } from '../operate/gate.ts';
import { readGatesOf } from '../operate/row-gate.ts';
import { summaryOf } from '../operate/overview.ts';
import { readPace } from '../operate/pace.ts';
import type { Pace } from '../operate/pace.ts';
import { seenSchedule } from '../schedule/view.ts';
import type { SeenSchedule } from '../schedule/view.ts';
import type { Summary } from '../operate/summary.ts';
import type { TaskCounts } from '../core/task.ts';

/** Counting the rows of a batch costs a pass over them: it gets no more than a twentieth of the time. */
const SHARE = 20;
const BATCHES_A_PAGE = 50;
const ROWS_A_PAGE = 200;

/** A batch as the board shows it. */
export interface BatchStatus extends Summary, Pace {
  state: Batch['state'];
  /** RFC 3339, UTC. */
  createdAt: string;
  /** Null: there are none. */
  tasks: TaskCounts | null;
  /** Rows whose task has failed at the provider. */
  failedTasks: number;
}

export interface Overview {
  /** Newest first. */
  batches: BatchStatus[];
  page: number;
  pages: number;
}

export interface RowsPage {
  items: PageRow[];
  /** What `?after=` of the next page is; null on the last one. */
  next: string | null;
}

/** Of a row's request, which may be megabytes long. */
export const SHOWN_CHARACTERS = 4000;
const SHOWN_ATTEMPTS = 20;

/** A row, and what became of it. */
export interface Life {
  row: SubmissionView;
  source: string;
  tasks: TaskView[];
  attempts: AttemptView[];
  /** There are attempts before these. */
  earlier: boolean;
  trail: TrailView[];
  gates: Gate[];
}

interface Kept {
  status: Promise<BatchStatus>;
  /** Monotonic; `Infinity` while it is being read, so that all who ask meanwhile share one reading. */
  until: number;
}

/** What the pages show, from the ledger. Remembers for a moment, so that many open tabs cost no more than one. */
export class Reading {
  readonly #db: Queryable;
  readonly #origin: string | undefined;
  readonly #kept = new Map<number, Kept>();

  /** `origin`: the provider of this configuration, if there is one. */
  constructor(db: Queryable, origin: string | undefined) {
    this.#db = db;
    this.#origin = origin;
  }

  /** `page` counts from 1; one beyond the end is empty. */
  async overview(page: number): Promise<Overview> {
    const all = (await listBatches(this.#db)).toReversed();
    const start = (page - 1) * BATCHES_A_PAGE;
    const batches: BatchStatus[] = [];
    for (const batch of all.slice(start, start + BATCHES_A_PAGE)) batches.push(await this.#status(batch));
    return { batches, page, pages: Math.max(1, Math.ceil(all.length / BATCHES_A_PAGE)) };
  }

  async batch(name: string): Promise<{ id: number; status: BatchStatus } | undefined> {
    const batch = isName(name) ? await findBatch(this.#db, name) : undefined;
    return batch && { id: batch.id, status: await this.#status(batch) };
  }

  /** One page of a batch's rows. */
  async rows(batchId: number, asked: RowsAsked): Promise<RowsPage> {
    const found = await readPage(this.#db, batchId, { ...asked, limit: ROWS_A_PAGE + 1 });
    const items = found.slice(0, ROWS_A_PAGE);
    const last = items.at(-1);
    return {
      items,
      next: found.length > items.length && last !== undefined ? `${last.line}-${last.id}` : null,
    };
  }

  /** Numbers of the rows with that key, or of some whose keys begin so. */
  async findRowIds(batchId: number, key: string): Promise<number[]> {
    return isName(key) ? findRowIds(this.#db, batchId, key) : [];
  }

  /** One row's life, as `explain` tells it. */
  async life(id: number): Promise<Life | undefined> {
    const row = await findSubmissionById(this.#db, id, SHOWN_CHARACTERS);
    const batch = row && (await findBatch(this.#db, row.batch));
    if (row === undefined || batch === undefined) return undefined;
    const attempts = await readAttempts(this.#db, id, SHOWN_ATTEMPTS + 1);
    const trail = await readTrail(this.#db, id);
    return {
      row,
      source: batch.source,
      tasks: await readTasks(this.#db, id),
      attempts: attempts.slice(-SHOWN_ATTEMPTS),
      earlier: attempts.length > SHOWN_ATTEMPTS,
      trail: trail.slice(-SHOWN_ATTEMPTS),
      gates: row.state === 'pending' ? await readGatesOf(this.#db, batch, row, this.#origin) : [],
    };
  }

  /** Every schedule, with how its last run stands. */
  async schedules(): Promise<SeenSchedule[]> {
    const seen: SeenSchedule[] = [];
    for (const one of await listSchedules(this.#db)) seen.push(await seenSchedule(this.#db, one));
    return seen;
  }

  /** Rejects when the ledger does not answer. */
  async alive(): Promise<void> {
    await this.#db.query('select 1');
  }

  #status(batch: Batch): Promise<BatchStatus> {
    const kept = this.#kept.get(batch.id);
    if (kept !== undefined && performance.now() < kept.until) return kept.status;
    const started = performance.now();
    const entry: Kept = { status: this.#read(batch), until: Infinity };
    this.#kept.set(batch.id, entry);
    const expire = (): void => {
      const cost = performance.now() - started;
      entry.until = performance.now() + SHARE * cost;
    };
    entry.status.then(expire, () => this.#kept.delete(batch.id));
    return entry.status;
  }

  async #read(batch: Batch): Promise<BatchStatus> {
    const numbers = await readNumbers(this.#db, batch.id);
    const summary = await summaryOf(this.#db, batch, numbers, this.#origin);
    return {
      ...summary,
      state: batch.state,
      createdAt: batch.createdAt.toISOString(),
      failedTasks: numbers.failReasons.reduce((sum, { tasks }) => sum + tasks, 0),
      tasks: summary.taskIds + summary.surplus === 0 ? null : numbers.tasks,
      ...(await readPace(this.#db, batch, summary)),
    };
  }
}

/** Nothing is called so: Postgres' text holds no NUL, and would refuse the question. */
function isName(text: string): boolean {
  return !text.includes('\0');
}
