import type { Queryable } from '../../database/database.ts';
import { readOne } from '../read/query.ts';

/** What the answers about tasks say that they cost. */
export interface AnsweredCosts {
  /** By unit: a currency, or what the provider counts in. */
  sums: { unit: string; amount: string; tasks: number }[];
  /** Tasks that have ended, and whose answers tell no cost. Null: no answer of these batches has told one. */
  untold: number | null;
}

/** The tasks of these batches; null: of all. Surplus tasks count, too. */
export async function readAnsweredCosts(
  db: Queryable,
  batches: readonly number[] | null,
): Promise<AnsweredCosts> {
  const { rows: sums } = await db.query<AnsweredCosts['sums'][number]>(
    `select cost_unit as unit, trim_scale(sum(cost))::text as amount, count(*)::int as tasks
       from vidbatch.task where cost is not null and ($1::bigint[] is null or batch_id = any($1))
      group by cost_unit order by cost_unit`,
    [batches],
  );
  if (sums.length === 0) return { sums, untold: null };
  const { n } = await readOne<{ n: number }>(
    db,
    `select count(*)::int as n from vidbatch.task
      where cost is null and status in ('completed', 'failed') and ($1::bigint[] is null or batch_id = any($1))`,
    [batches],
  );
  return { sums, untold: n };
}
