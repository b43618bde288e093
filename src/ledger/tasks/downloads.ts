import type { Queryable } from '../../database/database.ts';
import { pageByPage } from '../read/query.ts';

/** Rows of one query. */
const KEYS = 5_000;
const VIDEOS = 1_000;

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

/** A whole video, and the name that it has or is about to get. */
export interface WholeVideo {
  file: string;
  bytes: number;
  sha256: string;
  type: string;
}

export interface KnownVideo extends WholeVideo {
  /** Of the row. */
  id: number;
  taskId: string;
  state: string;
}

/** Videos of a folder that have been whole, by submission. */
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

interface Place {
  folderId: string;
  id: number;
  taskId: string;
}

/** Writes what is known of a row's video. What is not given is forgotten. */
async function put(
  db: Queryable,
  { folderId, id, taskId }: Place,
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

/** Why the video is not there. What is known of a part or a file stays: it may be continued, or compared again. */
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

/** The provider has given another URL for the same video. `expiry.at`: milliseconds since the epoch. */
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
     update vidbatch.row_state set result_url = $3 where id = $1 and task_id = $2 and state = 'submitted'`,
    [id, taskId, url, expiry?.at ?? null, expiry?.by ?? null],
  );
}
