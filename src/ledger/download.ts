import type { State } from '../submission.ts';
import type { Queryable } from './database.ts';
import { UNSETTLED } from './poll.ts';

/** A folder into which videos of a batch are downloaded. */
export interface Folder {
  /** Held by a file in it. */
  id: string;
  batchId: number;
  host: string;
  /** Absolute. */
  path: string;
}

/** Notes where a folder is now. */
export async function noteFolder(db: Queryable, { id, batchId, host, path }: Folder): Promise<void> {
  await db.query(
    `insert into vidbatch.folder (id, batch_id, host, path) values ($1, $2, $3, $4)
     on conflict (id) do update set host = excluded.host, path = excluded.path, used_at = now()`,
    [id, batchId, host, path],
  );
}

/** Keys of a batch in the order in which its rows came into the ledger, after `afterId`. */
export async function readKeys(
  db: Queryable,
  batchId: number,
  afterId: number,
  limit: number,
): Promise<{ id: number; key: string }[]> {
  const { rows } = await db.query<{ id: number; row_key: string }>(
    'select id, row_key from vidbatch.submission where batch_id = $1 and id > $2 order by id limit $3',
    [batchId, afterId, limit],
  );
  return rows.map((row) => ({ id: row.id, key: row.row_key }));
}

/** A row whose video can be fetched. */
export interface Wanted {
  id: number;
  key: string;
  taskId: string;
  /** Null: the provider calls it completed, and gave no URL. */
  url: string | null;
  /** Of a part that may be there. */
  validator: string | null;
  total: number | null;
}

const MISSING = `
       from vidbatch.submission s
       left join vidbatch.download d on d.submission_id = s.id and d.folder_id = $2 and d.task_id = s.task_id
       left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id
      where s.batch_id = $1 and s.state = 'submitted' and s.provider_status = 'completed'
        and d.state is distinct from 'downloaded'`;

/** URLs that say nothing are taken to live for a day, as everywhere. */
const DIES_AT = `coalesce(t.url_expires_at, t.url_seen_at + interval '24 hours', 'infinity')`;

/** Where a page of these rows ends. */
export interface Mark {
  diesAt: string;
  id: number;
}

export const FIRST_MARK: Mark = { diesAt: '-infinity', id: -1 };

/** Rows of a batch whose task is completed, and whose video is not in the folder as far as we know: what dies first, first. */
export async function wantedVideos(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
  after: Mark,
  limit: number,
): Promise<(Wanted & Mark)[]> {
  const { rows } = await db.query<{
    id: number;
    row_key: string;
    task_id: string;
    result_url: string | null;
    validator: string | null;
    total: number | null;
    dies_at: string;
  }>(
    `select s.id, s.row_key, s.task_id, s.result_url, d.validator, d.total, ${DIES_AT}::text as dies_at
       ${MISSING} and (${DIES_AT}, s.id) > ($3::timestamptz, $4::bigint)
      order by ${DIES_AT}, s.id limit $5`,
    [batchId, folderId, after.diesAt, after.id, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    key: row.row_key,
    taskId: row.task_id,
    url: row.result_url,
    validator: row.validator,
    total: row.total,
    diesAt: row.dies_at,
  }));
}

/** How many there are of those. */
export async function countWanted(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(`select count(*)::int as n ${MISSING}`, [batchId, folderId]);
  return rows[0]?.n ?? 0;
}

/** A whole video, and the name that it has or is about to get. */
export interface WholeVideo {
  file: string;
  bytes: number;
  sha256: string;
  type: string;
}

/** Videos of a folder that were whole once, by submission, after `afterId`. */
export async function wholeVideos(
  db: Queryable,
  folderId: string,
  afterId: number,
  limit: number,
): Promise<(WholeVideo & { id: number; taskId: string; state: string })[]> {
  const { rows } = await db.query<{
    submission_id: number;
    task_id: string;
    state: string;
    file: string;
    bytes: number;
    sha256: string;
    media_type: string;
  }>(
    `select submission_id, task_id, state, file, bytes, sha256, media_type from vidbatch.download
      where folder_id = $1 and file is not null and submission_id > $2 order by submission_id limit $3`,
    [folderId, afterId, limit],
  );
  return rows.map((row) => ({
    id: row.submission_id,
    taskId: row.task_id,
    state: row.state,
    file: row.file,
    bytes: row.bytes,
    sha256: row.sha256,
    type: row.media_type,
  }));
}

interface Place {
  folderId: string;
  id: number;
  taskId: string;
}

/** What is known of a row's video now; what is not named is not known any more. */
async function put(
  db: Queryable,
  { folderId, id, taskId }: Place,
  state: 'fetching' | 'downloaded' | 'failed' | 'expired',
  known: Partial<
    WholeVideo & { validator: string | null; total: number | null; code: string; reason: string }
  >,
): Promise<void> {
  await db.query(
    `insert into vidbatch.download as d (folder_id, submission_id, task_id, state, validator, total, file, bytes, sha256,
                                         media_type, code, reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     on conflict (folder_id, submission_id) do update
        set task_id = excluded.task_id, state = excluded.state, validator = excluded.validator, total = excluded.total,
            file = excluded.file, bytes = excluded.bytes, sha256 = excluded.sha256, media_type = excluded.media_type,
            code = excluded.code, reason = excluded.reason, updated_at = now()`,
    [
      folderId,
      id,
      taskId,
      state,
      known.validator ?? null,
      known.total ?? null,
      known.file ?? null,
      known.bytes ?? null,
      known.sha256 ?? null,
      known.type ?? null,
      known.code ?? null,
      known.reason ?? null,
    ],
  );
}

/** The first bytes are about to be written. */
export function recordBegun(
  db: Queryable,
  place: Place,
  part: { validator: string | null; total: number | null },
): Promise<void> {
  return put(db, place, 'fetching', part);
}

/** All of it is on the disk, and about to get its name. */
export function recordWhole(db: Queryable, place: Place, video: WholeVideo): Promise<void> {
  return put(db, place, 'fetching', { ...video, total: video.bytes });
}

export function recordDownloaded(db: Queryable, place: Place, video: WholeVideo): Promise<void> {
  return put(db, place, 'downloaded', video);
}

/** It is not there, and why. A part of it may be continued, a file that was changed may be compared again. */
export async function recordNotHad(
  db: Queryable,
  { folderId, id, taskId }: Place,
  { state, code, reason }: { state: 'failed' | 'expired'; code: string; reason: string },
): Promise<void> {
  await db.query(
    `insert into vidbatch.download as d (folder_id, submission_id, task_id, state, code, reason)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (folder_id, submission_id) do update
        set task_id = excluded.task_id, state = excluded.state, code = excluded.code, reason = excluded.reason,
            updated_at = now()`,
    [folderId, id, taskId, state, code, reason],
  );
}

/** The file is gone: it is to be fetched again. */
export async function forgetVideo(db: Queryable, folderId: string, id: number): Promise<void> {
  await db.query('delete from vidbatch.download where folder_id = $1 and submission_id = $2', [folderId, id]);
}

/** The provider has given another URL for the same video. `expiry`: when it dies, in milliseconds since the epoch. */
export async function renewUrl(
  db: Queryable,
  { id, taskId }: Pick<Place, 'id' | 'taskId'>,
  url: string,
  expiry: { at: number; by: 'answer' | 'url' } | undefined,
): Promise<void> {
  await db.query(
    `with told as (
       update vidbatch.task
          set result_url = $3, url_seen_at = now(), url_expires_at = to_timestamp($4::float8 / 1000), url_expiry = $5
        where submission_id = $1 and task_id = $2
     )
     update vidbatch.submission set result_url = $3 where id = $1 and task_id = $2 and state = 'submitted'`,
    [id, taskId, url, expiry?.at ?? null, expiry?.by ?? null],
  );
}

/** Rows whose video may still come without anybody's doing. */
export async function countOutstanding(db: Queryable, batchId: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.submission s
      where s.batch_id = $1 and (s.state in ('pending', 'submitting')
         or (${UNSETTLED}))`,
    [batchId],
  );
  return rows[0]?.n ?? 0;
}

/** What is known of a row's video in a folder. */
export interface VideoView {
  key: string;
  state: State;
  taskId: string | null;
  providerStatus: string | null;
  download: 'fetching' | 'downloaded' | 'failed' | 'expired' | null;
  file: string | null;
  bytes: number | null;
  sha256: string | null;
  type: string | null;
  code: string | null;
  reason: string | null;
  at: Date | null;
}

/** Every row of a batch in input order, page by page, with what is known of its video. */
export async function* readVideos(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
  pageSize = 500,
): AsyncGenerator<VideoView> {
  let [line, id] = [-1, -1];
  for (;;) {
    const { rows } = await db.query<VideoView & { id: number; line: number }>(
      `select s.id, s.line, s.row_key as key, s.state, s.task_id as "taskId", s.provider_status as "providerStatus",
              d.state as download, d.file, d.bytes, d.sha256, d.media_type as type, d.code, d.reason,
              d.updated_at as at
         from vidbatch.submission s
         left join vidbatch.download d on d.submission_id = s.id and d.folder_id = $2 and d.task_id = s.task_id
        where s.batch_id = $1 and (s.line, s.id) > ($3::int, $4::bigint) order by s.line, s.id limit $5`,
      [batchId, folderId, line, id, pageSize],
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    ({ line, id } = last);
  }
}

/** A video of a row, wherever it is. */
export interface PlacedVideo {
  host: string;
  path: string;
  state: 'fetching' | 'downloaded' | 'failed' | 'expired';
  file: string | null;
  bytes: number | null;
  sha256: string | null;
  code: string | null;
  reason: string | null;
  at: Date;
}

/** Of one row, in every folder that it was downloaded into. */
export async function videosOf(db: Queryable, submissionId: number): Promise<PlacedVideo[]> {
  const { rows } = await db.query<PlacedVideo>(
    `select f.host, f.path, d.state, d.file, d.bytes, d.sha256, d.code, d.reason, d.updated_at as at
       from vidbatch.download d join vidbatch.folder f on f.id = d.folder_id
      where d.submission_id = $1 order by d.updated_at`,
    [submissionId],
  );
  return rows;
}

export interface VideoCounts {
  downloaded: number;
  failed: number;
  expired: number;
}

/** Rows of a batch by what became of their video in the folder where it went best; null: nobody has downloaded any. */
export async function countVideos(db: Queryable, batchId: number): Promise<VideoCounts | null> {
  const { rows } = await db.query<VideoCounts & { n: number }>(
    `select count(*)::int as n, count(*) filter (where downloaded)::int as downloaded,
            count(*) filter (where not downloaded and failed)::int as failed,
            count(*) filter (where not downloaded and not failed and expired)::int as expired
       from (select bool_or(d.state = 'downloaded') as downloaded, bool_or(d.state = 'failed') as failed,
                    bool_or(d.state = 'expired') as expired
               from vidbatch.download d join vidbatch.folder f on f.id = d.folder_id
              where f.batch_id = $1 group by d.submission_id) v`,
    [batchId],
  );
  const { n = 0, downloaded = 0, failed = 0, expired = 0 } = rows[0] ?? {};
  return n === 0 ? null : { downloaded, failed, expired };
}
