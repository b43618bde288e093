import type { Amount } from '../../core/money/money.ts';
import type { Queryable } from '../../database/database.ts';
import { amountOf } from './budget.ts';

/** By what costs are grouped. */
export const COST_GROUPS = ['batch', 'model', 'day'] as const;
export type CostGroup = (typeof COST_GROUPS)[number];

/** What the rows of one group cost, in one currency. */
export interface Cost {
  /** Undefined: costs are not grouped by it. */
  batch?: string;
  model?: string | null;
  /** Such as `2026-11-30`, in the given zone. */
  day?: string;
  /** Null: the price of these rows is not known. Then all amounts are zero. */
  currency: string | null;
  /** Rows that were paid or may have been paid. */
  rows: number;
  /** For accepted rows, with what a second task of a row cost. */
  spent: Amount;
  /** For rows in flight. */
  inFlight: Amount;
  /** For rows that may have been accepted. */
  atRisk: Amount;
  atRiskRows: number;
  /** Those of them that a person has to settle. The others were given up, or are in doubt. */
  uncertainRows: number;
  /** By the provider's bills, less refunds; null: there is no bill in this currency. */
  billed: Amount | null;
}

const COLUMNS: Readonly<Record<CostGroup, string>> = {
  batch: 'b.name',
  model: 'p.model',
  day: `to_char(p.at at time zone $3, 'YYYY-MM-DD')`,
};

export interface CostQuery {
  /** Null: of all batches. */
  batchId: number | null;
  /** Null: of all times. The time of a row is when its last call was claimed. */
  since: Date | null;
  by: readonly CostGroup[];
  /** The zone of days. */
  zone: string;
}

/** The end of the quarter in which `since` is; `since` itself, if it is the beginning of one. */
const NEXT_QUARTER = `vidbatch.quarter_of($2 - interval '1 microsecond') + interval '15 minutes'`;

/**
 * Rows that are alike and may have been paid, what they cost together, and when: to the quarter of an hour of their last
 * call. Of the quarter in which `since` ($2) is, each call is looked at.
 */
const PAID_ROWS = `
  select s.batch_id, s.model, s.quarter as at, s.currency, s.rows, s.rows * coalesce(s.price, 0) as held, s.doubtful, s.state
    from vidbatch.row_count s
   where s.quarter is not null and ($2::timestamptz is null or s.quarter >= $2)
  union all
  select s.batch_id, s.model, a.claimed_at, s.currency, 1, s.held, s.doubtful, s.state
    from vidbatch.attempt a join vidbatch.row_state s on s.id = a.submission_id and s.attempt_id = a.id
   where a.claimed_at >= $2 and a.claimed_at < ${NEXT_QUARTER} and s.quarter is not null`;

/** What was billed, and when, in the same way. */
const BILLED = `
  select s.batch_id, s.model, s.quarter as at, s.currency, s.amount from vidbatch.bill_sum s
   where $2::timestamptz is null or s.quarter >= $2
  union all
  select c.batch_id, c.model, coalesce(c.billed_at, c.stored_at), c.currency,
         case c.entry when 'refund' then - c.amount else c.amount end
    from vidbatch.charge c
   where c.quarter < ${NEXT_QUARTER} and c.quarter > $2 - interval '15 minutes' and coalesce(c.billed_at, c.stored_at) >= $2`;

/**
 * What rows cost by the prices that they were sent with, and what the provider billed for them. Sums over all groups are
 * what the batches hold (`HELD`).
 */
export async function readCosts(db: Queryable, { batchId, since, by, zone }: CostQuery): Promise<Cost[]> {
  type Sums = Record<'spent' | 'inFlight' | 'atRisk', string>;
  type Found = Sums & Omit<Cost, keyof Sums | 'billed'> & { billed: string | null };
  const { rows } = await db.query<Found>(
    `with paid as (
       select s.batch_id, s.model, s.at, s.currency, s.rows, s.held as amount,
              case when s.state = 'uncertain' then s.rows else 0 end as uncertain,
              case when s.doubtful or s.state in ('uncertain', 'abandoned') then 'at-risk'
                   when s.state = 'submitting' then 'in-flight' else 'spent' end as kind
         from (${PAID_ROWS}) s
       union all
       select s.batch_id, s.model, a.claimed_at, s.currency, 0, case when a.surplus then s.price else a.remade_price end, 0,
              'spent'
         from vidbatch.attempt a join vidbatch.row_state s on s.id = a.submission_id
        where a.surplus or a.remade_at is not null
       union all
       select c.batch_id, c.model, c.at, c.currency, 0, c.amount, 0, 'billed' from (${BILLED}) c
     )
     select ${by.map((group) => `${COLUMNS[group]} as ${group}, `).join('')}p.currency,
            sum(p.rows)::int as rows,
            coalesce(sum(p.amount) filter (where p.kind = 'spent'), 0)::text as spent,
            coalesce(sum(p.amount) filter (where p.kind = 'in-flight'), 0)::text as "inFlight",
            coalesce(sum(p.amount) filter (where p.kind = 'at-risk'), 0)::text as "atRisk",
            coalesce(sum(p.rows) filter (where p.kind = 'at-risk'), 0)::int as "atRiskRows",
            coalesce(sum(p.uncertain), 0)::int as "uncertainRows",
            (sum(p.amount) filter (where p.kind = 'billed'))::text as billed
       from paid p join vidbatch.batch b on b.id = p.batch_id
      where ($1::bigint is null or p.batch_id = $1) and ($2::timestamptz is null or p.at >= $2)
      group by ${[...by.map((group) => COLUMNS[group]), 'p.currency'].join(', ')}
     having bool_or(p.kind = 'billed') or sum(p.rows) > 0 or sum(p.amount) <> 0
      order by ${[...by, 'currency nulls last'].join(', ')}`,
    by.includes('day') ? [batchId, since, zone] : [batchId, since],
  );
  return rows.map(({ spent, inFlight, atRisk, billed, ...cost }) => ({
    ...cost,
    spent: amountOf(spent),
    inFlight: amountOf(inFlight),
    atRisk: amountOf(atRisk),
    billed: billed === null ? null : amountOf(billed),
  }));
}
