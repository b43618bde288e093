import type { Queryable } from '../../database/database.ts';

/** Rows that became uncertain and are not told yet, by batch. */
export interface NewUncertain {
  batches: { batch: string; rows: number; keys: string[] }[];
  /** Rows that became uncertain until this moment are among them. As text, because a `Date` would round it. */
  until: string;
}

/**
 * Rows become uncertain in groups, and one notice tells of a group: it waits until `settleMs` have passed, and `gapMs` after
 * the notice before. Undefined: there is nothing to tell.
 */
export async function readNewUncertain(
  db: Queryable,
  target: string,
  { settleMs, gapMs }: { settleMs: number; gapMs: number },
): Promise<NewUncertain | undefined> {
  const { rows } = await db.query<NewUncertain['batches'][number] & { until: string }>(
    `with told as (
       select coalesce(max(ended_at), '-infinity') as until, coalesce(max(began_at), '-infinity') as at
         from vidbatch.notice where target = $1 and event = 'rows-uncertain'
     )
     select b.name as batch, count(*)::int as rows,
            (array_agg(r.row_key order by s.id))[1:5] as keys, (now() - $2 * interval '1 millisecond')::text as until
       from told
       join vidbatch.row_state s on s.state = 'uncertain' and s.updated_at > told.until
                                and s.updated_at <= now() - $2 * interval '1 millisecond'
       join vidbatch.row r on r.id = s.id
       join vidbatch.batch b on b.id = s.batch_id
      where told.at <= now() - $3 * interval '1 millisecond'
      group by b.id, b.name order by b.id`,
    [target, settleMs, gapMs],
  );
  const [first] = rows;
  if (first === undefined) return undefined;
  return { until: first.until, batches: rows.map(({ batch, rows: n, keys }) => ({ batch, rows: n, keys })) };
}
