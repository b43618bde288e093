import type { Money } from '../../core/money/money.ts';
import { amountOf, mayBePaid } from '../money/budget.ts';
import type { Queryable } from '../../database/database.ts';
import { isChanged, KNOWN } from './known.ts';
import type { ReadRows } from './known.ts';
import { secondsOf, toStored } from '../money/row-price.ts';
import type { Stored, StoredRow } from '../money/row-price.ts';

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
  /** Rows to send whose price the ledger has, and their cost; null: it has no price. */
  stored: Stored | null;
  least: Money | null;
}

/** The valid rows of a manifest by model and mode. `batchId` null: the batch does not exist yet. */
export async function readOutline(
  db: Queryable,
  { importId, known }: ReadRows,
  batchId: number | null,
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
     ), row as materialized (
       select model, mode, state, same, price, currency, to_send, case when to_send then ${secondsOf('r')} end as seconds
         from judged r
     )
     select model, mode, vidbatch.is_off_peak(model) as "offPeak",
            count(*) filter (where state is null)::int as fresh,
            count(*) filter (where state is not null and same)::int as known,
            count(*) filter (where state is not null and not same)::int as changed,
            count(*) filter (where to_send)::int as "toSend",
            coalesce(sum(seconds) filter (where to_send), 0)::int8 as seconds,
            coalesce(min(seconds) filter (where to_send), 0)::int as shortest,
            count(price) filter (where to_send and same)::int as priced,
            (sum(price) filter (where to_send and same))::text as price,
            (min(price) filter (where to_send and same))::text as least,
            case when min(currency) = max(currency) then min(currency) end as currency
       from row
      group by model, mode
      order by model, mode`,
    [importId, batchId, ...known.ranges],
  );
  return rows.map(({ priced, price, least, currency, ...row }) => ({
    ...row,
    stored: toStored({ priced, price, currency }),
    least: least === null || currency === null ? null : { amount: amountOf(least), currency },
  }));
}
