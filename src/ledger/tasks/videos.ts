import type { Queryable } from '../../database/database.ts';
import { UNSETTLED } from './poll.ts';
import type { State } from '../../core/states.ts';
import { pageByPage, readCount, readOne } from '../read/query.ts';

/** Rows of one query. */
const PAGE = 1_000;

/** A row whose video can be fetched. */
export interface Wanted {
  id: number;
  key: string;
  taskId: string;
  /** Null: the provider calls it completed, but gave no URL. */
  url: string | null;
  /** What is known of a part that may be there. */
  validator: string | null;
  total: number | null;
}

const MISSING = `
       from vidbatch.submission s
       left join vidbatch.download d on d.submission_id = s.id and d.folder_id = $2 and d.task_id = s.task_id
       left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id
      where s.batch_id = $1 and s.state = 'submitted' and s.provider_status = 'completed'
        and d.state is distinct from 'downloaded'`;

/** A URL without an expiry is assumed to live for a day, as `expiryOf` does. */
const DIES_AT = `coalesce(t.url_expires_at, t.url_seen_at + interval '24 hours', 'infinity')`;

/**
 * Rows of a batch whose task is completed and whose video is not known to be in the folder. The URL that dies first is
 * first.
 */
export function readWantedVideos(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): AsyncGenerator<Wanted> {
  return pageByPage(PAGE, async (after: (Wanted & { diesAt: string }) | undefined) => {
    const { rows } = await db.query<Wanted & { diesAt: string }>(
      `select s.id, s.row_key as key, s.task_id as "taskId", s.result_url as url, d.validator, d.total,
              ${DIES_AT}::text as "diesAt"
         ${MISSING} and (${DIES_AT}, s.id) > ($3::timestamptz, $4::bigint)
        order by ${DIES_AT}, s.id limit $5`,
      [batchId, folderId, after?.diesAt ?? '-infinity', after?.id ?? -1, PAGE],
    );
    return rows;
  });
}

/** How many rows `readWantedVideos` finds. */
export function countWanted(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): Promise<number> {
  return readCount(db, `select count(*)::int as n ${MISSING}`, [batchId, folderId]);
}

/** Rows whose video may still come as long as a worker runs. `pending`: those of them that are still to be sent. */
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

/** Every row of a batch in input order, with what is known of its video. */
export function readVideos(
  db: Queryable,
  { batchId, folderId }: { batchId: number; folderId: string },
): AsyncGenerator<VideoView> {
  return pageByPage(PAGE, async (after: (VideoView & { id: number; line: number }) | undefined) => {
    const { rows } = await db.query<VideoView & { id: number; line: number }>(
      `select r.id, r.line, r.row_key as key, s.state, s.task_id as "taskId", s.provider_status as "providerStatus",
              d.state as download, d.file, d.bytes, d.sha256, d.media_type as type, d.code, d.reason,
              d.updated_at as at
         from vidbatch.row r
         join vidbatch.row_state s on s.id = r.id
         left join vidbatch.download d on d.submission_id = s.id and d.folder_id = $2 and d.task_id = s.task_id
        where r.batch_id = $1 and (r.line, r.id) > ($3::int, $4::bigint) order by r.line, r.id limit $5`,
      [batchId, folderId, after?.line ?? -1, after?.id ?? -1, PAGE],
    );
    return rows;
  });
}

/** A video of a row in one folder. */
export interface PlacedVideo extends Pick<VideoView, 'file' | 'bytes' | 'sha256' | 'code' | 'reason'> {
  host: string;
  path: string;
  state: NonNullable<VideoView['download']>;
  at: Date;
}

/** Of one row, in every folder that it was downloaded into. */
export async function readVideosOfRow(db: Queryable, submissionId: number): Promise<PlacedVideo[]> {
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

/** The best download state of each row over all folders, counted; null: no video of the batch was downloaded. */
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
