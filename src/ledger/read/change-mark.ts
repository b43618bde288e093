import type { Queryable } from '../../database/database.ts';
import { ALIVE, SILENT } from '../workers.ts';
import { readOne } from './query.ts';

/**
 * A text that differs from an earlier one if the ledger may have changed since. It reads no rows of batches: each
 * transaction that writes moves the snapshot, and a worker that dies writes nothing, so the living ones are named.
 */
export async function readChangeMark(db: Queryable): Promise<string> {
  const { mark } = await readOne<{ mark: string }>(
    db,
    `select concat_ws(' ', pg_current_snapshot(),
              (select string_agg(w.id || case when ${SILENT} then '?' else '' end,
                                 ' ' order by w.id)
                 from vidbatch.worker w where ${ALIVE})) as mark`,
  );
  return mark;
}
