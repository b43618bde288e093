import type { Queryable } from '../../database/database.ts';
import { CLAIM_ORDER, groups, PENDING } from '../send/group.ts';
import { readOne } from './query.ts';

/**
 * Seconds since the oldest pending row was imported or first tried; 0: no row is pending. It reads a few rows of an index:
 * the oldest pending row is the first row of a batch, model and priority, or the first of its rows that had to wait.
 */
export async function readOldestPending(db: Queryable): Promise<number> {
  const { seconds } = await readOne<{ seconds: number }>(
    db,
    `with waiting as (
       select f.id, f.updated_at
         from vidbatch.batch b
        cross join lateral ${groups('b.id')} g
        cross join lateral (
          (select s.id, s.updated_at from vidbatch.submission s
            where ${PENDING('b.id')} order by ${CLAIM_ORDER} limit 1)
          union all
          (select s.id, s.updated_at from vidbatch.submission s
            where ${PENDING('b.id')} and s.not_before > '-infinity' order by ${CLAIM_ORDER} limit 1)) f
     )
     select greatest(0, (select max(extract(epoch from now() - least(w.updated_at,
                        (select min(a.claimed_at) from vidbatch.attempt a where a.submission_id = w.id))))::float8
               from waiting w)) as seconds`,
  );
  return seconds;
}

/** The models of pending rows, of all batches. */
export async function readPendingModels(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>(
    `select distinct g.model
       from vidbatch.batch b
      cross join lateral ${groups('b.id')} g
      where g.model is not null
      order by g.model`,
  );
  return rows.map(({ model }) => model);
}
