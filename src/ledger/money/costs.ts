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

/** Rows that were paid or may have been paid. */
export const MAY_BE_PAID = `(s.doubtful or s.state in ('submitting', 'submitted', 'uncertain', 'abandoned'))`;

/**
 * Where these rows and the time of their last call come from, as SQL: rows that are alike, and what they cost together.
 * The time is read only if it is asked for: to look up a million calls takes longer than all the rest.
 */
function paidRows({ since, by }: Pick<CostQuery, 'since' | 'by'>): string {
  if (since === null && !by.includes('day'))
    return `select s.batch_id, s.model, s.currency, s.rows * coalesce(s.price, 0) as held, s.rows, s.doubtful, s.state,
                   null::timestamptz as at
              from vidbatch.row_count s where ${MAY_BE_PAID}`;
  const columns = 's.batch_id, s.model, s.currency, s.held, 1 as rows, s.doubtful, s.state';
  const at = 'coalesce(a.claimed_at, s.updated_at)';
  // Rows of one group share a time unless days are asked for. A row changed with its last call or after it.
  return `select ${columns}, ${by.includes('day') ? at : '$2::timestamptz'} as at
            from vidbatch.row_state s left join vidbatch.attempt a on a.id = s.attempt_id
           where ${MAY_BE_PAID} and ($2::timestamptz is null or s.updated_at >= $2 and ${at} >= $2)`;
}

/** What was billed, as SQL. As with rows, the sums are enough where the time is not asked for. */
function billed({ since, by }: Pick<CostQuery, 'since' | 'by'>): string {
  if (since === null && !by.includes('day'))
    return `select s.batch_id, s.model, null, s.currency, 0, s.amount, 0, 'billed' from vidbatch.bill_sum s`;
  return `select c.batch_id, c.model, coalesce(c.billed_at, c.stored_at), c.currency, 0,
              case c.entry when 'refund' then - c.amount else c.amount end, 0, 'billed'
         from vidbatch.charge c`;
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
       select s.batch_id, s.model, s.at, s.currency, sum(s.rows) as rows, sum(s.held) as amount,
              coalesce(sum(s.rows) filter (where s.state = 'uncertain'), 0) as uncertain,
              case when s.doubtful or s.state in ('uncertain', 'abandoned') then 'at-risk'
                   when s.state = 'submitting' then 'in-flight' else 'spent' end as kind
         from (${paidRows({ since, by })}) s
        where $1::bigint is null or s.batch_id = $1
        group by s.batch_id, s.model, s.at, s.currency, kind
       having sum(s.rows) > 0
       union all
       select s.batch_id, s.model, a.claimed_at, s.currency, 0, case when a.surplus then s.price else a.remade_price end, 0, 'spent'
         from vidbatch.attempt a join vidbatch.row_state s on s.id = a.submission_id
        where a.surplus or a.remade_at is not null
       union all
       ${billed({ since, by })}
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
