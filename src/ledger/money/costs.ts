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

/**
 * What rows cost by the prices that they were sent with, and what the provider billed for them. Sums over all groups are
 * what the batches hold (`HELD`).
 */
export async function readCosts(db: Queryable, { batchId, since, by, zone }: CostQuery): Promise<Cost[]> {
  type Sums = Record<'spent' | 'inFlight' | 'atRisk', string>;
  type Found = Sums & Omit<Cost, keyof Sums | 'billed'> & { billed: string | null };
  const { rows } = await db.query<Found>(
    `with paid as (
       select s.batch_id, s.model, coalesce(a.claimed_at, s.updated_at) as at, s.currency, 1 as rows, s.held as amount,
              case when s.doubtful or s.state in ('uncertain', 'abandoned') then 'at-risk'
                   when s.state = 'submitting' then 'in-flight' else 'spent' end as kind
         from vidbatch.row_state s left join vidbatch.attempt a on a.id = s.attempt_id
        where s.doubtful or s.state in ('submitting', 'submitted', 'uncertain', 'abandoned')
       union all
       select s.batch_id, s.model, a.claimed_at, s.currency, 0, case when a.surplus then s.price else a.remade_price end, 'spent'
         from vidbatch.attempt a join vidbatch.row_state s on s.id = a.submission_id
        where a.surplus or a.remade_at is not null
       union all
       select s.batch_id, s.model, coalesce(c.billed_at, c.stored_at), c.currency, 0,
              case c.entry when 'refund' then - c.amount else c.amount end, 'billed'
         from vidbatch.charge c join vidbatch.row_state s on s.id = c.submission_id
     )
     select ${by.map((group) => `${COLUMNS[group]} as ${group}, `).join('')}p.currency,
            sum(p.rows)::int as rows,
            coalesce(sum(p.amount) filter (where p.kind = 'spent'), 0)::text as spent,
            coalesce(sum(p.amount) filter (where p.kind = 'in-flight'), 0)::text as "inFlight",
            coalesce(sum(p.amount) filter (where p.kind = 'at-risk'), 0)::text as "atRisk",
            (count(*) filter (where p.kind = 'at-risk'))::int as "atRiskRows",
            (sum(p.amount) filter (where p.kind = 'billed'))::text as billed
       from paid p join vidbatch.batch b on b.id = p.batch_id
      where ($1::bigint is null or p.batch_id = $1) and ($2::timestamptz is null or p.at >= $2)
      group by ${[...by.map((group) => COLUMNS[group]), 'p.currency'].join(', ')}
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
