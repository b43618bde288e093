import type { Queryable } from '../../database/database.ts';

const WINDOW_S = 60;

/** How rows of a batch were accepted lately. */
export interface Speed {
  accepted: number;
  /** Within so many seconds: a minute, or since the first one ever if that is younger, and at least one. */
  seconds: number;
}

export async function speedLately(db: Queryable, batchId: number): Promise<Speed> {
  const { rows } = await db.query<Speed>(
    `select count(*) filter (where submitted_at > now() - $2 * interval '1 second')::int as accepted,
            least($2, greatest(1, coalesce(extract(epoch from now() - min(submitted_at)), $2)))::float8 as seconds
       from vidbatch.submission where batch_id = $1 and state = 'submitted'`,
    [batchId, WINDOW_S],
  );
  const [row] = rows;
  return row === undefined ? { accepted: 0, seconds: WINDOW_S } : row;
}
