import type { Queryable } from '../../database/database.ts';
import { UNSETTLED } from './poll.ts';

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

/** Rows whose video may still come without anybody's doing, if there is a worker; `pending`: those that it is to send. */
export interface Outstanding {
  rows: number;
  pending: number;
}

export async function countOutstanding(db: Queryable, batchId: number): Promise<Outstanding> {
  const { rows } = await db.query<Outstanding>(
    `select count(*)::int as rows, (count(*) filter (where s.state = 'pending'))::int as pending
       from vidbatch.submission s
      where s.batch_id = $1 and (s.state in ('pending', 'submitting')
         or (${UNSETTLED}))`,
    [batchId],
  );
  return rows[0] ?? { rows: 0, pending: 0 };
}
