import { formatAmount } from '../../core/money/money.ts';
import { DEFAULT_SECONDS } from '../../core/money/prices.ts';
import type { Money } from '../../core/money/money.ts';
import type { Prices } from '../../core/money/prices.ts';
import { amountOf, mayBePaid } from './budget.ts';
import type { Queryable } from '../../database/database.ts';

/** Seconds of the video that a row's request asks for, as SQL. */
export function secondsOf(row: string): string {
  return `coalesce((${row}.request::json ->> 'duration')::int, ${DEFAULT_SECONDS})`;
}

/**
 * Gives the rows of a batch that were not sent their price, which is none if nobody has said one; those that were keep
 * the one that they were sent at, if it is known.
 */
export async function priceRows(db: Queryable, batchId: number, prices: Prices): Promise<void> {
  const models = [...prices.keys()];
  const known = [...prices.values()];
  await db.query(
    `with priced as (
       select s.id, case k.per when 'second' then k.amount * ${secondsOf('s')} else k.amount end as price, k.currency
         from vidbatch.submission s
         left join unnest($2::text[], $3::numeric[], $4::text[], $5::text[]) as k(model, amount, currency, per)
                on k.model = s.model
        where s.batch_id = $1 and s.request is not null
     )
     update vidbatch.row_state s set price = p.price, currency = p.currency
       from priced p
      where s.id = p.id and (s.price, s.currency) is distinct from (p.price, p.currency)
        and (s.price is null or not ${mayBePaid('s')})`,
    [
      batchId,
      models,
      known.map(({ amount }) => formatAmount(amount)),
      known.map(({ currency }) => currency),
      known.map(({ per }) => per),
    ],
  );
}

/** Gives these rows, which are not sent, the price that is named for their model; others keep the one that they have. */
export async function priceNamed(db: Queryable, ids: readonly number[], prices: Prices): Promise<void> {
  const known = [...prices.values()];
  await db.query(
    `update vidbatch.row_state s
        set price = case k.per when 'second' then k.amount * ${secondsOf('r')} else k.amount end, currency = k.currency
       from vidbatch.row r, unnest($2::text[], $3::numeric[], $4::text[], $5::text[]) as k(model, amount, currency, per)
      where s.id = any($1::bigint[]) and r.id = s.id and k.model = s.model`,
    [
      ids,
      [...prices.keys()],
      known.map(({ amount }) => formatAmount(amount)),
      known.map(({ currency }) => currency),
      known.map(({ per }) => per),
    ],
  );
}

/** What the ledger has of the prices of some rows: of how many it has one, and what these cost together. */
export interface Stored {
  rows: number;
  cost: Money;
}

/** As SQL counts it; `currency` null: there is none, or there are several. */
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
