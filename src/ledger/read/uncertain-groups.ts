import type { Money } from '../../core/money/money.ts';
import type { Queryable } from '../../database/database.ts';
import { amountOf } from '../money/budget.ts';
import { CHOSEN, choiceValues, UNCERTAIN, type Choice, type Reached } from './uncertain.ts';

/** Uncertain rows of one batch to which the same happened. */
export interface Group {
  batch: string;
  /** Null: there was no code. */
  code: string | null;
  httpStatus: number | null;
  phase: Reached;
  rows: number;
  /** The most that these rows may have cost, one amount for each currency; empty: no price is known. */
  atRisk: Money[];
  /** Rows among them whose price is not known. */
  unpriced: number;
  /** The first claim; null: the ledger has lost the evidence. */
  oldest: Date | null;
  /** Rows among them whose deadline is still to come, and the last of these deadlines. */
  waiting: number;
  until: Date | null;
  /** The error of one of the rows. */
  example: string | null;
}

export interface Grouped {
  /** The largest first. */
  groups: Group[];
  /** Of all groups, also of those beyond the limit. */
  rows: number;
  groupCount: number;
}

/** The largest groups of uncertain rows. `batchId` null: of all batches. */
export async function groupUncertain(db: Queryable, batchId: number | null, limit: number): Promise<Grouped> {
  type Found = Omit<Group, 'atRisk'> & {
    prices: { amount: string; currency: string }[];
    allRows: number;
    allGroups: number;
  };
  const { rows } = await db.query<Found>(
    `with priced as (
       select batch, code, http_status, phase, currency, sum(price) as amount, count(*) as rows,
              count(*) filter (where price is null) as unpriced, min(claimed_at) as oldest,
              count(*) filter (where waits) as waiting, max(deadline) filter (where waits) as until, min(message) as example
         from (${UNCERTAIN} and ($1::bigint is null or submission.batch_id = $1)) chosen
        group by batch, code, http_status, phase, currency
     )
     select batch, code, http_status as "httpStatus", phase, sum(rows)::int as rows, sum(unpriced)::int as unpriced, min(oldest) as oldest,
            sum(waiting)::int as waiting, max(until) as until, left(min(example), 300) as example,
            coalesce(json_agg(json_build_object('amount', amount::text, 'currency', currency) order by currency)
                       filter (where amount is not null and currency is not null), '[]') as prices,
            (sum(sum(rows)) over ())::int as "allRows", (count(*) over ())::int as "allGroups"
       from priced
      group by batch, code, http_status, phase
      order by sum(rows) desc, batch, code, http_status, phase limit $2`,
    [batchId, limit],
  );
  const [first] = rows;
  return {
    groups: rows.map(({ prices, allRows: _rows, allGroups: _groups, ...group }) => ({
      ...group,
      atRisk: prices.map(({ amount, currency }) => ({ amount: amountOf(amount), currency })),
    })),
    rows: first?.allRows ?? 0,
    groupCount: first?.allGroups ?? 0,
  };
}

/** The most that some rows may have cost. */
export type Risk = Pick<Group, 'atRisk' | 'unpriced'>;

/** The most that the chosen rows may have cost. */
export async function priceChosen(db: Queryable, choice: Choice): Promise<Risk> {
  const { rows } = await db.query<{ amount: string | null; currency: string | null; unpriced: number }>(
    `select sum(price)::text as amount, currency, count(*) filter (where price is null)::int as unpriced
       from (${CHOSEN}) chosen group by currency order by currency`,
    choiceValues(choice),
  );
  return {
    atRisk: rows.flatMap(({ amount, currency }) =>
      amount === null || currency === null ? [] : [{ amount: amountOf(amount), currency }],
    ),
    unpriced: rows.reduce((sum, { unpriced }) => sum + unpriced, 0),
  };
}

/** One uncertain row in a list. */
export interface UncertainRow {
  id: number;
  key: string;
  line: number;
  claimedAt: Date | null;
  /** Until when an answer may come; null: the ledger has lost the evidence. */
  deadline: Date | null;
  waits: boolean;
  price: Money | null;
  requestId: string | null;
  message: string | null;
  /** The beginning of the prompt. */
  prompt: string | null;
}

/** The chosen rows from `start` (0: the first), in the order of their claims, the oldest first. */
export async function listUncertain(
  db: Queryable,
  choice: Choice,
  { start, limit }: { start: number; limit: number },
): Promise<UncertainRow[]> {
  type Found = Omit<UncertainRow, 'price'> & { price: string | null; currency: string | null };
  const { rows } = await db.query<Found>(
    `with page as materialized (
       select * from (${CHOSEN}) chosen order by claimed_at nulls first, id offset $9 limit $10
     )
     select page.id, row.row_key as key, row.line, page.claimed_at as "claimedAt", page.deadline, page.waits,
            page.price::text as price, page.currency, attempt.request_id as "requestId", left(page.message, 300) as message,
            left(row.request::json->>'prompt', 300) as prompt
       from page
       join vidbatch.row on row.id = page.id and row.batch_id = page.batch_id
       left join vidbatch.attempt on attempt.id = page.evidence_id
      order by page.claimed_at nulls first, page.id`,
    [...choiceValues(choice), start, limit],
  );
  return rows.map(({ price, currency, ...row }) => ({
    ...row,
    price: price === null || currency === null ? null : { amount: amountOf(price), currency },
  }));
}
