import { usageError } from '../core/errors.ts';
import { openOf, type TaskCounts } from '../core/task-status.ts';
import type { StageCounts } from '../core/video-stage.ts';
import type { Queryable } from '../database/database.ts';
import { findBatch, listBatches, type Batch } from '../ledger/batches.ts';
import { readPauses } from '../ledger/operator/pause-model.ts';
import { readCosts, type Cost } from '../ledger/money/costs.ts';
import { readFailures, type FailureGroup } from '../ledger/read/failures.ts';
import { findRows, readSearch, type FoundRow } from '../ledger/read/find.ts';
import { readIdSpan, readSeries, type Series } from '../ledger/read/attempt-series.ts';
import { readNumbers, type BatchNumbers } from '../ledger/read/batch-numbers.ts';
import { listRows } from '../ledger/read/row-list.ts';
import { findSubmissionById, findRowIds } from '../ledger/read/rows.ts';
import { readVideosOfRow, type PlacedVideo } from '../ledger/tasks/downloads.ts';
import { isPolled } from '../ledger/tasks/poll.ts';
import {
  readStoredVideos,
  readUrlTimes,
  type StoredVideo,
  type UrlTimes,
} from '../ledger/tasks/stored-videos.ts';
import { listSchedules } from '../ledger/schedules/schedules.ts';
import { readAttention, type Attention } from '../operate/attention.ts';
import { readWorkers, type SeenWorker } from '../ledger/workers.ts';
import { parseMoment, parseSince } from '../operate/since.ts';
import { readRowLife, type RowLife } from '../operate/row-life.ts';
import { standingOf, type Standing } from '../operate/standing.ts';
import { readPace, summaryOf, type Pace, type Summary } from '../operate/summary.ts';
import { isHere } from '../results/download/stored-video.ts';
import { seenSchedule, type SeenSchedule } from '../schedule/view.ts';
import { cached } from './cached.ts';
import { readRowsPage, type RowsPage } from './row-pages.ts';
import type { RowsQuery } from './row-query.ts';

/** What needs a person is read more often: a page must say it within seconds. */
const ATTENTION_SHARE = 4;
const BATCHES_A_PAGE = 50;
const FOUND_ROWS = 200;
export const VIDEOS_A_PAGE = 24;

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
  /** How far the videos of its rows are; each row is counted once. */
  stages: StageCounts;
  /** What it does now, as `vidbatch status` says it. */
  standing: Standing;
}

/** A batch, with what its pages need beside its status. */
export interface KnownBatch {
  id: number;
  status: BatchStatus;
  codes: BatchNumbers['codes'];
}

/** A row, with what its page shows beside its history. */
export interface SeenRow {
  life: RowLife;
  videos: PlacedVideo[];
  /** Its video can be played from this machine. */
  here: boolean;
  /** The ids of the rows before and after it in the manifest. */
  previous: number | null;
  next: number | null;
}

/** What a page of videos knows of a row beside the list. */
export interface SeenVideo {
  stored: StoredVideo | undefined;
  /** It can be played from this machine. */
  here: boolean;
  url: UrlTimes | undefined;
}

export interface Overview {
  /** What needs a person, the worst first. */
  attention: Attention[];
  /** What is paused in all batches. */
  pauses: { everything: boolean; models: string[] };
  /** Newest first. */
  batches: BatchStatus[];
  page: number;
  pages: number;
}

/** Reads what the pages show. It caches the counts for a moment, so that many open tabs cost no more than one. */
export class PageData {
  readonly #db: Queryable;
  readonly #origin: string | undefined;
  readonly #known = cached(
    (batch: Batch) => this.#read(batch),
    ({ id }) => id,
  );
  readonly #series = cached(
    ({ id, rows }: { id: number; rows: number }) => this.#readSeries(id, rows),
    ({ id }) => id,
  );
  readonly #attention = cached(
    () => readAttention(this.#db),
    () => 0,
    ATTENTION_SHARE,
  );

  /** `origin`: the provider of this configuration. */
  constructor(db: Queryable, origin: string | undefined) {
    this.#db = db;
    this.#origin = origin;
  }

  /** The next answers come from the ledger, because an act has changed it. */
  forget(): void {
    this.#known.forget();
    this.#series.forget();
    this.#attention.forget();
  }

  /** `page` counts from 1. A page beyond the last one is empty. */
  async overview(page: number): Promise<Overview> {
    const all = (await listBatches(this.#db)).toReversed();
    const start = (page - 1) * BATCHES_A_PAGE;
    const batches: BatchStatus[] = [];
    for (const batch of all.slice(start, start + BATCHES_A_PAGE))
      batches.push((await this.#known(batch)).status);
    const attention = await this.attention();
    const pauses = await readPauses(this.#db);
    return { attention, pauses, batches, page, pages: Math.max(1, Math.ceil(all.length / BATCHES_A_PAGE)) };
  }

  /** What needs a person, the worst first. */
  attention(): Promise<Attention[]> {
    return this.#attention(undefined);
  }

  async batch(name: string): Promise<KnownBatch | undefined> {
    const batch = isStorable(name) ? await findBatch(this.#db, name) : undefined;
    return batch && this.#known(batch);
  }

  /** @throws VidbatchError exit 2 for an order that would sort too many rows. */
  rows({ id, status, codes }: KnownBatch, query: RowsQuery): Promise<RowsPage> {
    return readRowsPage(this.#db, id, query, { ...status, codes });
  }

  /** The calls of a batch over time; null: there were none. */
  series({ id, status }: KnownBatch): Promise<Series | null> {
    return this.#series({ id, rows: status.rows });
  }

  /** Rows with a task, and where their videos are, by the id of the row. */
  async videos(
    { id, status, codes }: KnownBatch,
    query: RowsQuery,
  ): Promise<{ page: RowsPage; seen: Map<number, SeenVideo> }> {
    const page = await readRowsPage(this.#db, id, query, { ...status, codes }, VIDEOS_A_PAGE);
    const numbers = page.items.map((row) => row.id);
    const stored = await this.storedVideos(numbers);
    const urls = new Map((await readUrlTimes(this.#db, numbers)).map((one) => [one.id, one]));
    const seen = new Map<number, SeenVideo>();
    for (const number of numbers) {
      const videos = stored.get(number) ?? [];
      seen.set(number, { stored: videos[0], here: await isAnyHere(videos), url: urls.get(number) });
    }
    return { page, seen };
  }

  /** The downloaded videos of rows, by the id of the row; the latest one comes first. */
  async storedVideos(ids: readonly number[]): Promise<Map<number, StoredVideo[]>> {
    return Map.groupBy(await readStoredVideos(this.#db, ids), ({ id }) => id);
  }

  /** The ids of the rows whose key is `key` or begins with it, or of the row with this task id. */
  async findRowIds(batchId: number, key: string): Promise<number[]> {
    return isStorable(key) ? findRowIds(this.#db, batchId, key) : [];
  }

  /** One row with one attempt more than the page shows: so the page knows that there are earlier ones. */
  async row(id: number): Promise<SeenRow | undefined> {
    const row = await findSubmissionById(this.#db, id, SHOWN_CHARACTERS);
    const batch = row && (await findBatch(this.#db, row.batch));
    if (row === undefined || batch === undefined) return undefined;
    const near = { order: 'line', descending: false, limit: 1 } as const;
    const place = { value: String(row.line), id };
    const [previous] = await listRows(this.#db, batch.id, { ...near, before: place });
    const [next] = await listRows(this.#db, batch.id, { ...near, after: place });
    return {
      life: await readRowLife(this.#db, batch, row, {
        origin: this.#origin,
        lastAttempts: SHOWN_ATTEMPTS + 1,
      }),
      videos: await readVideosOfRow(this.#db, id),
      here: await isAnyHere((await this.storedVideos([id])).get(id) ?? []),
      previous: previous?.id ?? null,
      next: next?.id ?? null,
    };
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
    const found = await findRows(this.#db, read.search, FOUND_ROWS + 1);
    return { rows: found.slice(0, FOUND_ROWS), more: found.length > FOUND_ROWS };
  }

  /** Rejects when the ledger does not answer. */
  async ping(): Promise<void> {
    await this.#db.query('select 1');
  }

  /** How many tasks have no known end, and whether a process polls them. */
  async #following({ origin }: Batch, tasks: TaskCounts): Promise<{ open: number; polled: boolean }> {
    const open = openOf(tasks);
    if (open === 0 || origin === null) return { open, polled: false };
    return { open, polled: await isPolled(this.#db, origin) };
  }

  async #readSeries(id: number, rows: number): Promise<Series | null> {
    const ids = await readIdSpan(this.#db, id);
    return ids === null ? null : readSeries(this.#db, id, { rows, ids });
  }

  async #read(batch: Batch): Promise<KnownBatch> {
    const numbers = await readNumbers(this.#db, batch.id, { reasons: false });
    const summary = await summaryOf(this.#db, batch, numbers, this.#origin);
    const pace = await readPace(this.#db, batch, summary);
    const status: BatchStatus = {
      ...summary,
      state: batch.state,
      createdAt: batch.createdAt.toISOString(),
      failedTasks: numbers.stages.failed,
      stages: numbers.stages,
      tasks: summary.taskIds + summary.surplus === 0 ? null : numbers.tasks,
      standing: standingOf({ ...summary, ...pace }, await this.#following(batch, numbers.tasks)),
      ...pace,
    };
    return { id: batch.id, status, codes: numbers.codes };
  }
}

async function isAnyHere(videos: readonly StoredVideo[]): Promise<boolean> {
  for (const video of videos) if (await isHere(video)) return true;
  return false;
}

/** Postgres refuses text that contains NUL, so no stored name contains it. */
function isStorable(text: string): boolean {
  return !text.includes('\0');
}

function sinceOf(text: string | undefined): Date | null {
  return text === undefined ? null : parseSince('since', text, 'UTC');
}
