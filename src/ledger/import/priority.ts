import type { Queryable } from '../../database/database.ts';

/** All rows of the batch come before, or after, those of others: its priority is added to theirs. */
export async function setPriority(db: Queryable, batchId: number, priority: number): Promise<void> {
  await db.query('update vidbatch.batch set priority = $2 where id = $1 and priority <> $2', [
    batchId,
    priority,
  ]);
}
