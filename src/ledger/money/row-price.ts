import { formatAmount } from '../../core/money/money.ts';
import { DEFAULT_SECONDS } from '../../core/money/prices.ts';
import type { Money } from '../../core/money/money.ts';
import type { Prices } from '../../core/money/prices.ts';
import { amountOf, mayBePaid } from './budget.ts';
import type { Queryable } from '../../database/database.ts';

/** The seconds of the video that a row asks for, as SQL. */
export function secondsOf(row: string): string {
  return `coalesce((${row}.request::json ->> 'duration')::int, ${DEFAULT_SECONDS})`;
}

/** The prices as a table `k`, as SQL. Its parameters are $2 to $5 of `priceValues`. */
const PRICES = 'unnest($2::text[], $3::numeric[], $4::text[], $5::text[]) as k(model, amount, currency, per)';

const priceOf = (row: string): string =>
  `case k.per when 'second' then k.amount * ${secondsOf(row)} else k.amount end`;

function priceValues(prices: Prices): unknown[] {
  const known = [...prices.values()];
  return [
    [...prices.keys()],
    known.map(({ amount }) => formatAmount(amount)),
    known.map(({ currency }) => currency),
    known.map(({ per }) => per),
  ];
}

/**
 * Gives the unsent rows of a batch the price of their model; without one, they have no price. Rows that may have been paid
 * keep the price at which they were sent, if it is known.
 */
export async function priceRows(db: Queryable, batchId: number, prices: Prices): Promise<void> {
  await db.query(
    `with priced as (
       select s.id, ${priceOf('s')} as price, k.currency
         from vidbatch.submission s
         left join ${PRICES} on k.model = s.model
        where s.batch_id = $1 and s.request is not null
     )
     update vidbatch.row_state s set price = p.price, currency = p.currency
       from priced p
      where s.id = p.id and (s.price, s.currency) is distinct from (p.price, p.currency)
        and (s.price is null or not ${mayBePaid('s')})`,
    [batchId, ...priceValues(prices)],
  );
}

/** Gives these unsent rows the price of their model. Rows of a model without a price keep the one that they have. */
export async function priceNamed(db: Queryable, ids: readonly number[], prices: Prices): Promise<void> {
  await db.query(
    `update vidbatch.row_state s set price = ${priceOf('r')}, currency = k.currency
       from vidbatch.row r, ${PRICES}
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
