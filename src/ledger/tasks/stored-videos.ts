import type { Queryable } from '../../database/database.ts';

/** A video that was downloaded, as the ledger recorded it. */
export interface StoredVideo {
  /** The id of its row. */
  id: number;
  folderId: string;
  host: string;
  path: string;
  file: string;
  bytes: number;
  sha256: string;
  type: string | null;
  at: Date;
}

/** The downloaded videos of the tasks that these rows have now; of a row, the latest one comes first. */
export async function readStoredVideos(db: Queryable, ids: readonly number[]): Promise<StoredVideo[]> {
  const { rows } = await db.query<StoredVideo>(
    `select s.id, f.id as "folderId", f.host, f.path, d.file, d.bytes, d.sha256, d.media_type as type, d.updated_at as at
       from vidbatch.download d
       join vidbatch.row_state s on s.id = d.submission_id and s.task_id = d.task_id
       join vidbatch.folder f on f.id = d.folder_id and f.batch_id = s.batch_id
      where d.submission_id = any($1::bigint[]) and d.state = 'downloaded' and s.state = 'submitted'
      order by s.id, d.updated_at desc`,
    [ids],
  );
  return rows;
}

/** How long the URL of a task's video lives, as far as it is known. */
export interface UrlTimes {
  /** The id of its row. */
  id: number;
  urlSeenAt: Date | null;
  urlExpiresAt: Date | null;
  urlExpiry: 'answer' | 'url' | 'profile' | null;
}

export async function readUrlTimes(db: Queryable, ids: readonly number[]): Promise<UrlTimes[]> {
  const { rows } = await db.query<UrlTimes>(
    `select t.submission_id as id, t.url_seen_at as "urlSeenAt", t.url_expires_at as "urlExpiresAt",
            t.url_expiry as "urlExpiry"
       from vidbatch.task t join vidbatch.row_state s on s.id = t.submission_id and s.task_id = t.task_id
      where t.submission_id = any($1::bigint[])`,
    [ids],
  );
  return rows;
}
