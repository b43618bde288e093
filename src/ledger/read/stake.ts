import type { Money } from '../../core/money/money.ts';
import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { amountOf } from '../money/budget.ts';

/** Rows of one state, model and currency, and the money that they concern. */
export interface StakeGroup {
  state: State;
  /** Null: the row is invalid and names none. */
  model: string | null;
  rows: number;
  /** Rows whose price is known. */
  priced: number;
  /** What sending them can still cost at most; null: no price is known. */
  most: Money | null;
  /** What is spent or may be spent for them. */
  held: Money | null;
}

/** Rows by state, model and currency: of one batch or of all batches, of these models or of all models. */
export async function readStake(
  db: Queryable,
  { batchId, models }: { batchId: number | null; models: readonly string[] | null },
): Promise<StakeGroup[]> {
  const { rows } = await db.query<StoredGroup>(
    `select s.state, s.model, s.currency, count(*)::int as rows, count(s.price)::int as priced,
            coalesce(sum(s.price - s.held), 0)::text as most, coalesce(sum(s.held), 0)::text as held
       from vidbatch.row_state s
      where ($1::bigint is null or s.batch_id = $1) and ($2::text[] is null or s.model = any ($2))
      group by s.state, s.model, s.currency order by s.state, s.model, s.currency`,
    [batchId, models],
  );
  return rows.map(({ state, model, currency, rows: n, priced, most, held }) => ({
    state,
    model,
    rows: n,
    priced,
    most: moneyOf(most, currency),
    held: moneyOf(held, currency),
  }));
}

interface StoredGroup {
  state: State;
  model: string | null;
  currency: string | null;
  rows: number;
  priced: number;
  most: string;
  held: string;
}

function moneyOf(amount: string, currency: string | null): Money | null {
  return currency === null ? null : { amount: amountOf(amount), currency };
}
