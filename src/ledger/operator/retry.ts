import { RETRYABLE_STATES, type State } from '../../core/states.ts';
import { isChanged, SENT } from '../import/known.ts';
import type { Queryable } from '../../database/database.ts';
import { CALLED_OFF } from '../send/unknown-outcome.ts';
import { WAS } from '../import/merge-rows.ts';
import { secondsOf } from '../money/row-price.ts';
import { readCount, readOne } from '../read/query.ts';

/** Which rows of a batch: rows must match all fields that are given. */
export interface Chosen {
  states?: readonly State[];
  errorCodes?: readonly string[];
  /** Whole keys. */
  keys?: readonly string[];
}

/** Rows `s` of the batch $1, with the parameters $2 to $4 of `chosenValues`. */
const CHOSEN = `s.batch_id = $1 and s.state = any($2::text[])
          and ($3::text[] is null or s.error_code = any($3)) and ($4::text[] is null or s.row_key = any($4))`;

function chosenValues(id: number, { states, errorCodes, keys }: Chosen, all: readonly State[]): unknown[] {
  const possible = all.filter((state) => states === undefined || states.includes(state));
  return [id, possible, errorCodes ?? null, keys ?? null];
}

/** Rows with the same final state and error. */
export interface Ended {
  state: State;
  errorCode: string | null;
  rows: number;
}

/** The rows that `retry` would send again, the largest group first. */
export async function countRetryable(db: Queryable, id: number, chosen: Chosen): Promise<Ended[]> {
  const { rows } = await db.query<Ended>(
    `select s.state, s.error_code as "errorCode", count(*)::int as rows from vidbatch.submission s
      where ${CHOSEN} and s.request is not null
      group by s.state, s.error_code order by rows desc, s.state, s.error_code`,
    chosenValues(id, chosen, RETRYABLE_STATES),
  );
  return rows;
}

/** What sending the rows that `retry` would take can cost at most: by currency; null: the price is not known. */
export async function readRetryPrices(
  db: Queryable,
  id: number,
  chosen: Chosen,
): Promise<{ currency: string | null; amount: string; rows: number }[]> {
  const { rows } = await db.query<{ currency: string | null; amount: string; rows: number }>(
    `select s.currency, coalesce(sum(s.price), 0)::text as amount, count(*)::int as rows from vidbatch.submission s
      where ${CHOSEN} and s.request is not null
      group by s.currency order by s.currency`,
    chosenValues(id, chosen, RETRYABLE_STATES),
  );
  return rows;
}

/**
 * Parts of a statement that make a cancelled batch active if it has chosen rows. Its other pending rows came back
 * unsent while it was cancelled. They become cancelled.
 */
export const reactivate = (chosen: string): string => `active as (
       update vidbatch.batch set state = 'active' where id = $1 and state = 'cancelled' and exists (${chosen}) returning id
     ), called_off as (
       update vidbatch.row_state s set ${CALLED_OFF} from active a where s.batch_id = a.id and s.state = 'pending'
     )`;

/**
 * The chosen rows that are known to be unpaid become pending, with fresh attempts. A cancelled batch becomes active. `asOf`:
 * rows that have moved since then stay as they are; default: all.
 */
export function retry(db: Queryable, id: number, chosen: Chosen = {}, asOf = 'infinity'): Promise<number> {
  return readCount(
    db,
    `with chosen as materialized (
       select s.id from vidbatch.submission s
        where ${CHOSEN} and s.request is not null and s.updated_at <= $5::timestamptz
     ), ${reactivate('select from chosen')}, moved as (
       update vidbatch.row_state s
          set previous = s.state, state = 'pending', spent = 0, halted_at = null,
              error_code = null, error = null, http_status = null, updated_at = now()
         from chosen c
        where s.id = c.id and s.state = any($2::text[]) and s.updated_at <= $5::timestamptz
       returning s.id
     )
     select count(*)::int as n from moved`,
    [...chosenValues(id, chosen, RETRYABLE_STATES), asOf],
  );
}

/** How the chosen rows of a batch compare with their new version in a manifest. */
export interface Versions {
  changed: number;
  /** They differ, and still cannot be sent. */
  invalid: number;
  same: number;
  /** They differ, but the row may have been paid or still waits: `retry` leaves it alone. */
  others: number;
  unknown: number;
  /** Changed rows whose content another batch has sent already. */
  elsewhere: number;
}

/** States of rows that the provider or a rule refused. */
export const CORRECTABLE = ['rejected', 'invalid'] as const satisfies State[];

const DIFFERS = isChanged('s');

const SAME_PRICE = `t.model = s.model and ${secondsOf('t')} = ${secondsOf('s')}`;

export function countVersions(
  db: Queryable,
  id: number,
  importId: string,
  chosen: Chosen,
): Promise<Versions> {
  return readOne<Versions>(
    db,
    `select count(*) filter (where chosen and differs and t.request is not null)::int as changed,
            count(*) filter (where chosen and differs and t.request is null)::int as invalid,
            count(*) filter (where chosen and not differs)::int as same,
            count(*) filter (where not chosen and differs)::int as others,
            count(*) filter (where chosen is null)::int as unknown,
            count(*) filter (where chosen and differs and elsewhere)::int as elsewhere
       from (select t.request, ${CHOSEN} as chosen, ${DIFFERS} as differs,
                    ${DIFFERS} and exists (
                      select from vidbatch.submission x
                       where x.content_hash = t.content_hash and x.batch_id <> $1 and ${SENT}) as elsewhere
               from vidbatch.staged t
               left join vidbatch.submission s on s.batch_id = $1 and s.row_key = t.row_key
              where t.import_id = $5) t`,
    [...chosenValues(id, chosen, CORRECTABLE), importId],
  );
}

/**
 * The chosen rows take the manifest's version and start again. The same statement writes their old version to the event log:
 * the request and how it ended, or the row as it was read and its fault.
 */
export function retryChanged(
  db: Queryable,
  id: number,
  importId: string,
  chosen: Chosen,
  who: string,
): Promise<number> {
  return readCount(
    db,
    `with old as materialized (
       select s.id, t.position, ${SAME_PRICE} as same_price, ${WAS} as was
         from vidbatch.submission s
         join vidbatch.staged t on t.import_id = $5 and t.row_key = s.row_key
         join vidbatch.row_state locked on locked.id = s.id
        where ${CHOSEN} and ${DIFFERS} and t.request is not null
          -- The locked record may be newer than the one that was read.
          and locked.state = any($2::text[]) and locked.content_hash is not distinct from s.content_hash
        order by s.id for update of locked
     ), ${reactivate('select from old')}, edited as (
       update vidbatch.row r
          set input = t.input, request = t.request, content_hash = t.content_hash, mode = t.mode
         from old o join vidbatch.staged t on t.import_id = $5 and t.position = o.position
        where r.id = o.id
     ), moved as (
       update vidbatch.row_state s
          set previous = s.state, state = 'pending', content_hash = t.content_hash, model = t.model,
              -- A retry has no price file: the known price holds for the same seconds of the same model.
              price = case when o.same_price then s.price end, currency = case when o.same_price then s.currency end,
              not_before = coalesce(t.not_before, '-infinity'), priority = t.priority, spent = 0,
              halted_at = null, error_code = null, error = null, http_status = null, updated_at = now()
         from old o join vidbatch.staged t on t.import_id = $5 and t.position = o.position
        where s.id = o.id and s.state = any($2::text[])
       returning s.id, s.batch_id, o.was
     ), told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, who, detail)
       select batch_id, id, 'retry --changed', $6, was from moved order by id
     )
     select count(*)::int as n from moved`,
    [...chosenValues(id, chosen, CORRECTABLE), importId, who],
  );
}
