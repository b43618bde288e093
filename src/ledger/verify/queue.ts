import type { Queryable } from '../../database/database.ts';

/** Every lane that rows are marked with or that somebody feeds. */
export async function lanesInUse(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ lane: string }>(
    `select name as lane from vidbatch.lane
     union select lane from vidbatch.submission where state = 'pending' and lane is not null
     order by lane`,
  );
  return rows.map(({ lane }) => lane);
}

export interface Marked {
  submissionId: number;
  generation: number;
  batch: string;
  key: string;
  /** Whether the feeder of its lane lives. */
  fed: boolean;
}

/** Rows that have been marked as queued in this lane for at least `ageMs`. As many as the queue is deep. */
export async function markedSince(
  db: Queryable,
  lane: string,
  batchId: number | null,
  ageMs: number,
): Promise<Marked[]> {
  const { rows } = await db.query<Omit<Marked, 'submissionId'> & { id: number }>(
    `select s.id, s.generation, b.name as batch, s.row_key as key,
            exists (select from vidbatch.lane l where l.name = s.lane and l.seen_at > now() - interval '30 seconds') as fed
       from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
      where s.lane = $1 and s.state = 'pending' and s.queued_at < now() - $3 * interval '1 millisecond'
        and ($2::bigint is null or s.batch_id = $2)
      order by s.id`,
    [lane, batchId, ageMs],
  );
  return rows.map(({ id: submissionId, ...row }) => ({ submissionId, ...row }));
}

/** Those of the ids that no row has. */
export async function unknownSubmissions(db: Queryable, ids: readonly number[]): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>(
    `select j.id from unnest($1::bigint[]) as j(id)
      where not exists (select from vidbatch.submission s where s.id = j.id) order by j.id`,
    [ids],
  );
  return rows.map(({ id }) => id);
}
