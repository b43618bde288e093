import type { Queryable } from './database.ts';

/** Every lane with a feeder: the shared one while somebody works, and one for each `run`. */
export async function listLanes(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>('select name from vidbatch.lane order by name');
  return rows.map((row) => row.name);
}

export interface NamedBatch {
  id: number;
  name: string;
}

/** The newest batches, newest first. */
export async function newestBatches(db: Queryable, limit: number): Promise<NamedBatch[]> {
  const { rows } = await db.query<NamedBatch>(
    'select id, name from vidbatch.batch order by id desc limit $1',
    [limit],
  );
  return rows;
}

/** Names of the batches with these ids, in the order of the ids. */
export async function batchNames(db: Queryable, ids: readonly number[]): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    'select name from vidbatch.batch where id = any($1::bigint[]) order by id',
    [ids],
  );
  return rows.map((row) => row.name);
}
