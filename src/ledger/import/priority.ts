import type { Queryable } from '../../database/database.ts';

/** All rows of the batch come before, or after, those of others: its priority is added to theirs. */
export async function setPriority(db: Queryable, batchId: number, priority: number): Promise<void> {
  await db.query('update vidbatch.batch set priority = $2 where id = $1 and priority <> $2', [
    batchId,
    priority,
  ]);
}

/**
 * From the first priority on, jobs have one in the queue: without, they stand there in the order in which they came, as
 * people expect to see them.
 */
export async function rankRows(db: Queryable, batchId: number): Promise<void> {
  await db.query(
    `update vidbatch.meta set ranked = true
      where not ranked and exists (
        select from vidbatch.batch b where b.id = $1
           and (b.priority <> 0 or exists (select from vidbatch.submission s where s.batch_id = b.id and s.priority <> 0)))`,
    [batchId],
  );
}
