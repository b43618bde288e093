import type { Queryable } from '../database/database.ts';

/** A batch with fewer records to spare is left alone: to add them up would cost more than to read them. */
const MANY = 1_000;
/** Younger records tell which batches move. */
const OLD = `interval '2 minutes'`;

/** What the rows of one record have in common. */
const ALIKE =
  'batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored, quarter';

/**
 * Adds up the old records of batches in which many are alike. A reader sees the records or their sum, never both. Two
 * processes may do it at once: a record that the other one has taken is gone.
 */
export async function addUpCounts(db: Queryable): Promise<void> {
  await db.query(
    `with large as (
       select batch_id from vidbatch.row_count where at < now() - ${OLD} group by batch_id having count(*) > ${MANY}
     ), kind as (
       select batch_id, count(*) as records from vidbatch.row_count
        where at < now() - ${OLD} and batch_id in (select batch_id from large) group by ${ALIKE}
     ), taken as (
       delete from vidbatch.row_count c
        where c.at < now() - ${OLD}
          and c.batch_id in (select batch_id from kind group by batch_id having sum(records) - count(*) > ${MANY})
       returning *
     )
     insert into vidbatch.row_count (${ALIKE}, rows, at)
     select ${ALIKE}, sum(rows), min(at) from taken group by ${ALIKE} having sum(rows) <> 0`,
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
