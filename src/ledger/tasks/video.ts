import type { State } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';

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
