import type { Queryable } from '../database/database.ts';

/** A batch with fewer records is left alone: to add them up would cost more than to read them. */
const MANY = 1_000;
/** Younger records tell which batches move. */
const OLD = `interval '2 minutes'`;

/**
 * Adds up the old records of batches that have many. A reader sees the records or their sum, never both. Two processes
 * may do it at once: a record that the other one has taken is gone.
 */
export async function addUpCounts(db: Queryable): Promise<void> {
  await db.query(
    `with taken as (
       delete from vidbatch.row_count c
        where c.at < now() - ${OLD}
          and c.batch_id in (select batch_id from vidbatch.row_count
                              where at < now() - ${OLD} group by batch_id having count(*) > ${MANY})
       returning *
     )
     insert into vidbatch.row_count (batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored, rows, at)
     select batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored, sum(rows), min(at)
       from taken group by 1, 2, 3, 4, 5, 6, 7, 8, 9 having sum(rows) <> 0`,
  );
}

/** Whether rows of a batch may have been accepted within the last `seconds`. It reads no rows. */
export async function wasAcceptedLately(db: Queryable, batchId: number, seconds: number): Promise<boolean> {
  const { rows } = await db.query(
    `select from vidbatch.row_count
      where batch_id = $1 and state = 'submitted' and at > now() - $2 * interval '1 second' limit 1`,
    [batchId, seconds],
  );
  return rows.length > 0;
}
