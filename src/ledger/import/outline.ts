import type { Money } from '../../core/money/money.ts';
import type { Pricing } from '../../core/money/prices.ts';
import { amountOf, mayBePaid } from '../money/budget.ts';
import type { Queryable } from '../../database/database.ts';
import { isChanged, KNOWN, type ReadRows } from './known.ts';
import {
  priceOf,
  priceTable,
  priceValues,
  secondsOf,
  toStored,
  type Stored,
  type StoredRow,
} from '../money/row-price.ts';

/** Rows of a manifest of one model and mode, compared with the batch. */
export interface Group {
  model: string;
  mode: string;
  offPeak: boolean;
  fresh: number;
  known: number;
  changed: number;
  /** New, changed, or known and still pending. */
  toSend: number;
  seconds: number;
  /** Seconds of the shortest video to send; 0: no video is to send. */
  shortest: number;
  /** Rows to send whose price is known after the import, and their cost; null: no price is known. */
  stored: Stored | null;
  least: Money | null;
}

/** The valid rows of a manifest by model and mode. `batchId` null: the batch does not exist yet. */
export async function readOutline(
  db: Queryable,
  { importId, known }: ReadRows,
  batchId: number | null,
  { prices, seconds, replaces }: Pricing,
): Promise<Group[]> {
  const { rows } = await db.query<Omit<Group, 'stored' | 'least'> & StoredRow & { least: string | null }>(
    `with read as (
       select t.model, t.mode, t.request, s.state,
              s.id is not null and not ${isChanged('s')} as same, ${mayBePaid('s')} as paid,
              s.price, s.currency
         from vidbatch.staged t
         left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and t.request is not null
        union all
       select s.model, s.mode, s.request, s.state, true, ${mayBePaid('s')}, s.price, s.currency
         from vidbatch.submission s join ${KNOWN} k on k.id = s.id
        where s.batch_id = $2 and s.request is not null
     ), judged as (
       select *, state is null or state = 'pending' or not (same or paid) as to_send from read
     ), timed as materialized (
       select model, mode, state, same, to_send, case when to_send then ${secondsOf('r', seconds)} end as seconds,
              case when same and not ${replaces} then price end as kept, currency as kept_in
         from judged r
     ), row as materialized (
       select t.*, coalesce(t.kept, ${priceOf('t.seconds')}) as price,
              case when t.kept is null then k.currency else t.kept_in end as currency
         from timed t left join ${priceTable(5)} on k.model = t.model
     )
     select model, mode, vidbatch.is_off_peak(model) as "offPeak",
            count(*) filter (where state is null)::int as fresh,
            count(*) filter (where state is not null and same)::int as known,
            count(*) filter (where state is not null and not same)::int as changed,
            count(*) filter (where to_send)::int as "toSend",
            coalesce(sum(seconds) filter (where to_send), 0)::int8 as seconds,
            coalesce(min(seconds) filter (where to_send), 0)::int as shortest,
            count(price) filter (where to_send)::int as priced,
            (sum(price) filter (where to_send))::text as price,
            (min(price) filter (where to_send))::text as least,
            case when min(currency) filter (where to_send) = max(currency) filter (where to_send)
                 then min(currency) filter (where to_send) end as currency
       from row
      group by model, mode
      order by model, mode`,
    [importId, batchId, ...known.ranges, ...priceValues(prices)],
  );
  return rows.map(({ priced, price, least, currency, ...row }) => ({
    ...row,
    stored: toStored({ priced, price, currency }),
    least: least === null || currency === null ? null : { amount: amountOf(least), currency },
  }));
}
