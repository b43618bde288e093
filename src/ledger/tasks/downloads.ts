import { ASSUMED_LIFE_MS } from '../../core/task-status.ts';
import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { pageByPage, readCount, readOne } from '../read/query.ts';
import { queryUrlOf, UNSETTLED } from './poll.ts';

/** Rows of one query. */
const KEYS = 5_000;
const VIDEOS = 1_000;

/** A folder into which videos of a batch are downloaded. */
export interface Folder {
  /** A file in the folder holds it. */
  id: string;
  batchId: number;
  host: string;
  path: string;
}

export async function saveFolder(db: Queryable, { id, batchId, host, path }: Folder): Promise<void> {
  await db.query(
    `insert into vidbatch.folder (id, batch_id, host, path) values ($1, $2, $3, $4)
     on conflict (id) do update set host = excluded.host, path = excluded.path, used_at = now()`,
    [id, batchId, host, path],
  );
}

/** Keys of a batch in the order in which its rows came into the ledger, after `afterId`. */
export function readKeys(
  db: Queryable,
  batchId: number,
  afterId: number,
): AsyncGenerator<{ id: number; key: string }> {
  return pageByPage(KEYS, async (after: { id: number; key: string } | undefined) => {
    const { rows } = await db.query<{ id: number; key: string }>(
      'select id, row_key as key from vidbatch.row where batch_id = $1 and id > $2 order by id limit $3',
      [batchId, after?.id ?? afterId, KEYS],
    );
    return rows;
  });
}

/** A complete video, and the name that it has or gets next. */
export interface WholeVideo {
  file: string;
  bytes: number;
  sha256: string;
  type: string;
}

export interface KnownVideo extends WholeVideo {
  /** The id of the row. */
  id: number;
  taskId: string;
  state: string;
}

/** Videos of a folder that were complete once, in the order of their rows. */
export function readWholeVideos(db: Queryable, folderId: string): AsyncGenerator<KnownVideo> {
  return pageByPage(VIDEOS, async (after: KnownVideo | undefined) => {
    const { rows } = await db.query<KnownVideo>(
      `select submission_id as id, task_id as "taskId", state, file, bytes, sha256, media_type as type from vidbatch.download
        where folder_id = $1 and file is not null and submission_id > $2 order by submission_id limit $3`,
      [folderId, after?.id ?? -1, VIDEOS],
    );
    return rows;
  });
}

interface VideoPlace {
  folderId: string;
  id: number;
  taskId: string;
}

/** Replaces what is known about a row's video. */
async function put(
  db: Queryable,
  { folderId, id, taskId }: VideoPlace,
  state: 'fetching' | 'downloaded',
  known: Partial<WholeVideo & { validator: string | null; total: number | null }>,
): Promise<void> {
  const { validator = null, total = null, file = null, bytes = null, sha256 = null, type = null } = known;
  await db.query(
    `insert into vidbatch.download as d (folder_id, submission_id, task_id, state, validator, total, file, bytes, sha256,
                                         media_type)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (folder_id, submission_id) do update
        set task_id = excluded.task_id, state = excluded.state, validator = excluded.validator, total = excluded.total,
            file = excluded.file, bytes = excluded.bytes, sha256 = excluded.sha256, media_type = excluded.media_type,
            code = null, reason = null, updated_at = now()`,
    [folderId, id, taskId, state, validator, total, file, bytes, sha256, type],
  );
}

/** Before the first bytes are written. */
export function recordBegun(
  db: Queryable,
  place: VideoPlace,
  part: { validator: string | null; total: number | null },
): Promise<void> {
  return put(db, place, 'fetching', part);
}

/** All of it is on the disk. It gets its name next. */
export function recordWhole(db: Queryable, place: VideoPlace, video: WholeVideo): Promise<void> {
  return put(db, place, 'fetching', { ...video, total: video.bytes });
}

export function recordDownloaded(db: Queryable, place: VideoPlace, video: WholeVideo): Promise<void> {
  return put(db, place, 'downloaded', video);
}

/**
 * Why the video is missing. The facts about a part or a file are kept: a later download may continue the part or check
 * the file.
 */
export async function recordNotHad(
  db: Queryable,
  { folderId, id, taskId }: VideoPlace,
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

/** For a file that is gone: the video is fetched again. */
export async function forgetVideo(db: Queryable, folderId: string, id: number): Promise<void> {
  await db.query('delete from vidbatch.download where folder_id = $1 and submission_id = $2', [folderId, id]);
}

/** The provider has given another URL for the same video. `expiry.at`: milliseconds since the epoch. */
export async function renewUrl(
  db: Queryable,
  { id, taskId }: Pick<VideoPlace, 'id' | 'taskId'>,
  url: string,
  expiry: { at: number; by: 'answer' | 'url' | 'profile' } | undefined,
): Promise<void> {
  await db.query(
    `with told as (
       update vidbatch.task
          set result_url = $3, url_seen_at = now(), url_expires_at = to_timestamp($4::float8 / 1000), url_expiry = $5
        where submission_id = $1 and task_id = $2
     )
     update vidbatch.row_state set result_url = $3 where id = $1 and task_id = $2 and state = 'submitted'`,
    [id, taskId, url, expiry?.at ?? null, expiry?.by ?? null],
  );
}

export interface Wanted {
  id: number;
  key: string;
  taskId: string;
  /** Null: the task is completed, but the provider gave no URL. */
  url: string | null;
  /** Where the provider said to ask for the task. */
  queryUrl: string | null;
  /** The version and the size of a part that may be in the folder. */
  validator: string | null;
  total: number | null;
}

const MISSING = `
       from vidbatch.submission s
       left join vidbatch.download d on d.submission_id = s.id and d.folder_id = $2 and d.task_id = s.task_id
       left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id
      where s.batch_id = $1 and s.state = 'submitted' and s.provider_status = 'completed'
        and d.state is distinct from 'downloaded'`;

/** When a URL expires, by the rule of `expiryOf`, as SQL to sort by. */
const DIES_AT = `coalesce(t.url_expires_at, t.url_seen_at + ${ASSUMED_LIFE_MS} * interval '1 millisecond', 'infinity')`;

/** Rows with a completed task whose video is not known to be in the folder. The URL that expires first comes first. */
export function readWantedVideos(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): AsyncGenerator<Wanted> {
  return pageByPage(VIDEOS, async (after: (Wanted & { diesAt: string }) | undefined) => {
    const { rows } = await db.query<Wanted & { diesAt: string }>(
      `select s.id, s.row_key as key, s.task_id as "taskId", s.result_url as url,
              ${queryUrlOf('s.id', 's.task_id')} as "queryUrl", d.validator, d.total,
              ${DIES_AT}::text as "diesAt"
         ${MISSING} and (${DIES_AT}, s.id) > ($3::timestamptz, $4::bigint)
        order by ${DIES_AT}, s.id limit $5`,
      [batchId, folderId, after?.diesAt ?? '-infinity', after?.id ?? -1, VIDEOS],
    );
    return rows;
  });
}

export function countWanted(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): Promise<number> {
  return readCount(db, `select count(*)::int as n ${MISSING}`, [batchId, folderId]);
}

/** Rows whose video a worker can still bring. `pending`: those that are still to be sent. */
export interface Outstanding {
  rows: number;
  pending: number;
}

export function countOutstanding(db: Queryable, batchId: number): Promise<Outstanding> {
  return readOne<Outstanding>(
    db,
    `select count(*)::int as rows, (count(*) filter (where s.state = 'pending'))::int as pending
       from vidbatch.submission s
      where s.batch_id = $1 and (s.state in ('pending', 'submitting') or (${UNSETTLED}))`,
    [batchId],
  );
}

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

/** The rows of a batch in input order, with what is known about their videos. */
export function readVideos(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): AsyncGenerator<VideoView> {
  return pageByPage(VIDEOS, async (after: (VideoView & { id: number; line: number }) | undefined) => {
    const { rows } = await db.query<VideoView & { id: number; line: number }>(
      `select r.id, r.line, r.row_key as key, s.state, s.task_id as "taskId", s.provider_status as "providerStatus",
              d.state as download, d.file, d.bytes, d.sha256, d.media_type as type, d.code, d.reason,
              d.updated_at as at
         from vidbatch.row r
         join vidbatch.row_state s on s.id = r.id
         left join vidbatch.download d on d.submission_id = s.id and d.folder_id = $2 and d.task_id = s.task_id
        where r.batch_id = $1 and (r.line, r.id) > ($3::int, $4::bigint) order by r.line, r.id limit $5`,
      [batchId, folderId, after?.line ?? -1, after?.id ?? -1, VIDEOS],
    );
    return rows;
  });
}

export interface PlacedVideo extends Pick<VideoView, 'file' | 'bytes' | 'sha256' | 'code' | 'reason'> {
  host: string;
  path: string;
  taskId: string;
  state: NonNullable<VideoView['download']>;
  at: Date;
}

export async function readVideosOfRow(db: Queryable, submissionId: number): Promise<PlacedVideo[]> {
  const { rows } = await db.query<PlacedVideo>(
    `select f.host, f.path, d.task_id as "taskId", d.state, d.file, d.bytes, d.sha256, d.code, d.reason, d.updated_at as at
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

/** Counts rows by their best download state over all folders; null: there are no downloads. */
export async function countVideos(db: Queryable, batchId: number): Promise<VideoCounts | null> {
  const { n, ...counts } = await readOne<VideoCounts & { n: number }>(
    db,
    `select count(*)::int as n, count(*) filter (where downloaded)::int as downloaded,
            count(*) filter (where not downloaded and failed)::int as failed,
            count(*) filter (where not downloaded and not failed and expired)::int as expired
       from (select bool_or(d.state = 'downloaded') as downloaded, bool_or(d.state = 'failed') as failed,
                    bool_or(d.state = 'expired') as expired
               from vidbatch.download d join vidbatch.folder f on f.id = d.folder_id
              where f.batch_id = $1 group by d.submission_id) v`,
    [batchId],
  );
  return n === 0 ? null : counts;
}
