import type { Queryable } from '../../database/database.ts';

/** Every lane with a feeder: the shared one while somebody works, and one for each `run`. */
export async function listLanes(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>('select name from vidbatch.lane order by name');
  return rows.map((row) => row.name);
}

/** Those whose feeder has been seen in the last half minute. */
export async function livingLanes(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select name from vidbatch.lane where seen_at > now() - interval '30 seconds' order by name`,
  );
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

/** The batches with these ids, in the order of the ids. */
export async function namedBatches(db: Queryable, ids: readonly number[]): Promise<NamedBatch[]> {
  const { rows } = await db.query<NamedBatch>(
    'select id, name from vidbatch.batch where id = any($1::bigint[]) order by id',
    [ids],
  );
  return rows;
}

/** Of these lanes' batches, whether everything is paused, and which of them are. */
export async function pausedBatches(
  db: Queryable,
  ids: readonly number[],
): Promise<{ all: boolean; batches: ReadonlySet<number> }> {
  const { rows } = await db.query<{ all: boolean; ids: number[] }>(
    `select paused_at is not null as "all",
            array(select id from vidbatch.batch where id = any($1::bigint[]) and state = 'paused') as ids
       from vidbatch.meta`,
    [ids],
  );
  return { all: rows[0]?.all ?? false, batches: new Set(rows[0]?.ids.map(Number)) };
}
