import { formatAmount, type Money } from '../../core/money/money.ts';
import { DEFAULT_SECONDS, type Prices, type Pricing } from '../../core/money/prices.ts';
import { amountOf, mayBePaid } from './budget.ts';
import type { Queryable } from '../../database/database.ts';

/** The seconds of the video that a row asks for, as SQL. `without`: those of a row that names none. */
export function secondsOf(row: string, without: number = DEFAULT_SECONDS): string {
  return `coalesce((${row}.request::json ->> 'duration')::int, ${Math.trunc(without)})`;
}

/** The prices as a table `k`, as SQL. Its four parameters are `priceValues`, from the number `first` on. */
export const priceTable = (first: number): string =>
  `unnest($${first}::text[], $${first + 1}::numeric[], $${first + 2}::text[], $${first + 3}::text[]) as k(model, amount, currency, per)`;

/** The cost of a video by the table `k`, as SQL; `seconds`: its length, as SQL. */
export const priceOf = (seconds: string): string =>
  `case k.per when 'second' then k.amount * ${seconds} else k.amount end`;

export function priceValues(prices: Prices): unknown[] {
  const known = [...prices.values()];
  return [
    [...prices.keys()],
    known.map(({ amount }) => formatAmount(amount)),
    known.map(({ currency }) => currency),
    known.map(({ per }) => per),
  ];
}

/**
 * Gives the unsent rows of a batch the price of their model. If the pricing replaces, a row of another model has no price;
 * otherwise a row that has a price keeps it. Rows that may have been paid keep the price at which they were sent, if it is
 * known.
 */
export async function priceRows(
  db: Queryable,
  batchId: number,
  { prices, seconds, replaces }: Pricing,
): Promise<void> {
  if (prices.size === 0 && !replaces) return;
  await db.query(
    `with priced as (
       select s.id, ${priceOf(secondsOf('s', seconds))} as price, k.currency
         from vidbatch.submission s
         left join ${priceTable(2)} on k.model = s.model
        where s.batch_id = $1 and s.request is not null ${replaces ? '' : 'and s.price is null and k.model is not null'}
     )
     update vidbatch.row_state s set price = p.price, currency = p.currency
       from priced p
      where s.id = p.id and (s.price, s.currency) is distinct from (p.price, p.currency)
        and (s.price is null or not ${mayBePaid('s')})`,
    [batchId, ...priceValues(prices)],
  );
}

/** Gives these unsent rows the price of their model. Rows of a model without a price keep the one that they have. */
export async function priceNamed(
  db: Queryable,
  ids: readonly number[],
  prices: Prices,
  seconds?: number,
): Promise<void> {
  await db.query(
    `update vidbatch.row_state s set price = ${priceOf(secondsOf('r', seconds))}, currency = k.currency
       from vidbatch.row r, ${priceTable(2)}
      where s.id = any($1::bigint[]) and r.id = s.id and k.model = s.model`,
    [ids, ...priceValues(prices)],
  );
}

/** The prices that the ledger has for some rows: for how many rows, and their sum. */
export interface Stored {
  rows: number;
  cost: Money;
}

/** `Stored` as SQL counts it. `currency` null: no row has a price, or there are several currencies. */
export interface StoredRow {
  priced: number;
  price: string | null;
  currency: string | null;
}

export function toStored({ priced, price, currency }: StoredRow): Stored | null {
  return price === null || currency === null
    ? null
    : { rows: priced, cost: { amount: amountOf(price), currency } };
}
