import { usageError } from '../core/errors.ts';
import type { TaskCounts } from '../core/task-status.ts';
import type { Queryable } from '../database/database.ts';
import { findBatch, listBatches } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { readCosts } from '../ledger/money/costs.ts';
import type { Cost } from '../ledger/money/costs.ts';
import { readFailures } from '../ledger/read/failures.ts';
import type { FailureGroup } from '../ledger/read/failures.ts';
import { findRows, readSearch } from '../ledger/read/find.ts';
import type { FoundRow } from '../ledger/read/find.ts';
import { readNumbers } from '../ledger/read/batch-numbers.ts';
import { findSubmissionById, readPage, findRowIds } from '../ledger/read/rows.ts';
import type { PageRow, RowsAsked } from '../ledger/read/rows.ts';
import { listSchedules } from '../ledger/schedules/schedules.ts';
import { readAttention } from '../operate/attention.ts';
import type { Attention } from '../operate/attention.ts';
import { readWorkers } from '../ledger/workers.ts';
import type { SeenWorker } from '../ledger/workers.ts';
import { parseMoment, parseSince } from '../operate/since.ts';
import { readRowLife } from '../operate/row-life.ts';
import type { RowLife } from '../operate/row-life.ts';
import { readPace, summaryOf } from '../operate/summary.ts';
import type { Pace, Summary } from '../operate/summary.ts';
import { seenSchedule } from '../schedule/view.ts';
import type { SeenSchedule } from '../schedule/view.ts';

/** Counting a batch's rows reads all of them, so it may take at most one twentieth of the time. */
const SHARE = 20;
const BATCHES_A_PAGE = 50;
const ROWS_A_PAGE = 200;

/** The characters of a row's request that are shown; a request may be megabytes long. */
export const SHOWN_CHARACTERS = 4000;
export const SHOWN_ATTEMPTS = 20;

/** A batch as the board shows it. */
export interface BatchStatus extends Summary, Pace {
  state: Batch['state'];
  /** RFC 3339, UTC. */
  createdAt: string;
  /** Null without any. */
  tasks: TaskCounts | null;
  /** Rows whose task has failed at the provider. */
  failedTasks: number;
}

export interface Overview {
  /** What needs a person, the worst first. */
  attention: Attention[];
  /** Newest first. */
  batches: BatchStatus[];
  page: number;
  pages: number;
}

export interface RowsPage {
  items: PageRow[];
  /** The value of `?after=` for the next page; null on the last one. */
  next: string | null;
}

/** Answers of `read`, each for twenty times as long as it took. Requests share one reading. */
function cached<Key, Value>(
  read: (key: Key) => Promise<Value>,
  name: (key: Key) => number,
): (key: Key) => Promise<Value> {
  const known = new Map<number, { value: Promise<Value>; until: number }>();
  return (key) => {
    const found = known.get(name(key));
    const started = performance.now();
    if (found !== undefined && started < found.until) return found.value;
    const entry = { value: read(key), until: Infinity };
    known.set(name(key), entry);
    const expire = (): void => {
      const ended = performance.now();
      entry.until = ended + SHARE * (ended - started);
    };
    entry.value.then(expire, () => known.delete(name(key)));
    return entry.value;
  };
}

/** Reads what the pages show. It caches the counts for a moment, so that many open tabs cost no more than one. */
export class PageData {
  readonly #db: Queryable;
  readonly #origin: string | undefined;
  readonly #status = cached(
    (batch: Batch) => this.#read(batch),
    ({ id }) => id,
  );
  readonly #attention = cached(
    () => readAttention(this.#db),
    () => 0,
  );

  /** `origin`: the provider of this configuration. */
  constructor(db: Queryable, origin: string | undefined) {
    this.#db = db;
    this.#origin = origin;
  }

  /** `page` counts from 1. A page beyond the last one is empty. */
  async overview(page: number): Promise<Overview> {
    const all = (await listBatches(this.#db)).toReversed();
    const start = (page - 1) * BATCHES_A_PAGE;
    const batches: BatchStatus[] = [];
    for (const batch of all.slice(start, start + BATCHES_A_PAGE)) batches.push(await this.#status(batch));
    const attention = await this.#attention(undefined);
    return { attention, batches, page, pages: Math.max(1, Math.ceil(all.length / BATCHES_A_PAGE)) };
  }

  async batch(name: string): Promise<{ id: number; status: BatchStatus } | undefined> {
    const batch = isStorable(name) ? await findBatch(this.#db, name) : undefined;
    return batch && { id: batch.id, status: await this.#status(batch) };
  }

  async rows(batchId: number, asked: RowsAsked): Promise<RowsPage> {
    const found = await readPage(this.#db, batchId, { ...asked, limit: ROWS_A_PAGE + 1 });
    const items = found.slice(0, ROWS_A_PAGE);
    const last = items.at(-1);
    return {
      items,
      next: found.length > items.length && last !== undefined ? `${last.line}-${last.id}` : null,
    };
  }

  /** The ids of the rows whose key is `key` or begins with it, or of the row with this task id. */
  async findRowIds(batchId: number, key: string): Promise<number[]> {
    return isStorable(key) ? findRowIds(this.#db, batchId, key) : [];
  }

  /** The history of one row, with one attempt more than the page shows: so the page knows that there are earlier ones. */
  async life(id: number): Promise<RowLife | undefined> {
    const row = await findSubmissionById(this.#db, id, SHOWN_CHARACTERS);
    const batch = row && (await findBatch(this.#db, row.batch));
    if (row === undefined || batch === undefined) return undefined;
    return readRowLife(this.#db, batch, row, { origin: this.#origin, lastAttempts: SHOWN_ATTEMPTS + 1 });
  }

  async schedules(): Promise<SeenSchedule[]> {
    const seen: SeenSchedule[] = [];
    for (const one of await listSchedules(this.#db)) seen.push(await seenSchedule(this.#db, one));
    return seen;
  }

  workers(): Promise<SeenWorker[]> {
    return readWorkers(this.#db);
  }

  /** @throws VidbatchError exit 2 for a `since` that is not a time. */
  async failures(since: string | undefined): Promise<FailureGroup[]> {
    return readFailures(this.#db, { batchId: null, since: sinceOf(since) });
  }

  /** @throws VidbatchError exit 2 for a `since` that is not a time. */
  async costs(since: string | undefined): Promise<Cost[]> {
    return readCosts(this.#db, { batchId: null, since: sinceOf(since), by: ['batch', 'model'], zone: 'UTC' });
  }

  /** @throws VidbatchError exit 2 for a qualifier with a value that is not allowed. */
  async find(query: string): Promise<{ rows: FoundRow[]; more: boolean }> {
    if (!isStorable(query)) return { rows: [], more: false };
    const read = readSearch(query, parseMoment);
    if ('fault' in read) throw usageError('BAD_SEARCH', read.fault);
    const found = await findRows(this.#db, read.search, ROWS_A_PAGE + 1);
    return { rows: found.slice(0, ROWS_A_PAGE), more: found.length > ROWS_A_PAGE };
  }

  /** Rejects when the ledger does not answer. */
  async ping(): Promise<void> {
    await this.#db.query('select 1');
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

/** Postgres refuses text that contains NUL, so no stored name contains it. */
function isStorable(text: string): boolean {
  return !text.includes('\0');
}

function sinceOf(text: string | undefined): Date | null {
  return text === undefined ? null : parseSince('since', text, 'UTC');
}
