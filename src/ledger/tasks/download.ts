import type { Queryable } from '../../database/database.ts';

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
