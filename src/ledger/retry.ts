import type { State } from '../core/submission.ts';
import { RETRYABLE_STATES } from '../core/submission.ts';
import type { Queryable } from '../database/database.ts';
import { CALLED_OFF } from './send/doubt.ts';
import { WAS } from './import/import.ts';
import { secondsOf } from './import/price.ts';

/** Which rows of a batch; what is left out does not choose. */
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

/** Rows that have come to the same end. */
export interface Ended {
  state: State;
  errorCode: string | null;
  rows: number;
}

/** What `retry` would take back, the most first. */
export async function countRetryable(db: Queryable, id: number, chosen: Chosen): Promise<Ended[]> {
  const { rows } = await db.query<{ state: State; error_code: string | null; n: number }>(
    `select s.state, s.error_code, count(*)::int as n from vidbatch.submission s
      where ${CHOSEN} and s.request is not null
      group by s.state, s.error_code order by n desc, s.state, s.error_code`,
    chosenValues(id, chosen, RETRYABLE_STATES),
  );
  return rows.map(({ state, error_code: errorCode, n }) => ({ state, errorCode, rows: n }));
}

/**
 * A cancelled batch is active again for the rows that were asked for. What came back from the provider unsent while it was
 * cancelled, and was not called off yet, is none of them.
 */
export const active = (chosen: string): string => `active as (
       update vidbatch.batch set state = 'active' where id = $1 and state = 'cancelled' and exists (${chosen}) returning id
     ), called_off as (
       update vidbatch.submission s set ${CALLED_OFF} from active a where s.batch_id = a.id and s.state = 'pending'
     )`;

/** The chosen rows that are known not to be paid go back to pending with fresh attempts; a cancelled batch is active again. */
export async function retry(db: Queryable, id: number, chosen: Chosen = {}): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `with ${active(`select from vidbatch.submission s where ${CHOSEN} and s.request is not null`)}, moved as (
       update vidbatch.submission s
          set previous = state, state = 'pending', spent = 0, halted_at = null,
              error_code = null, error = null, http_status = null, updated_at = now()
        where ${CHOSEN} and s.request is not null
       returning id
     )
     select count(*)::int as n from moved`,
    chosenValues(id, chosen, RETRYABLE_STATES),
  );
  return rows[0]?.n ?? 0;
}

/** How the chosen rows of a batch compare with a manifest's new version of them. */
export interface Versions {
  /** They differ, and can be sent now. */
  changed: number;
  /** They differ, and still cannot be sent. */
  invalid: number;
  /** They say what they said. */
  same: number;
  /** Rows of the manifest that differ from ones that may have been paid, or still wait: none of `retry`'s business. */
  others: number;
  /** Rows of the manifest that the batch has not. */
  unknown: number;
  /** Of the changed ones, those whose content another batch has sent already. */
  elsewhere: number;
}

/** What was refused, by the provider or by the rules: nothing of it was ever accepted. */
export const CORRECTABLE = ['rejected', 'invalid'] as const satisfies State[];

const DIFFERS =
  '(s.content_hash is distinct from t.content_hash or (s.content_hash is null and s.input <> t.input))';

const SAME_PRICE = `t.model = s.model and ${secondsOf('t')} = ${secondsOf('s')}`;

export async function countVersions(
  db: Queryable,
  id: number,
  importId: string,
  chosen: Chosen,
): Promise<Versions> {
  const { rows } = await db.query<Versions>(
    `select count(*) filter (where chosen and differs and t.request is not null)::int as changed,
            count(*) filter (where chosen and differs and t.request is null)::int as invalid,
            count(*) filter (where chosen and not differs)::int as same,
            count(*) filter (where not chosen and differs)::int as others,
            count(*) filter (where chosen is null)::int as unknown,
            count(*) filter (where chosen and differs and elsewhere)::int as elsewhere
       from (select t.request, ${CHOSEN} as chosen, ${DIFFERS} as differs,
                    ${DIFFERS} and exists (
                      select from vidbatch.submission x
                       where x.content_hash = t.content_hash and x.batch_id <> $1
                         and (x.state in ('submitting', 'submitted', 'uncertain') or x.doubtful or x.remade > 0)) as elsewhere
               from vidbatch.staged t
               left join vidbatch.submission s on s.batch_id = $1 and s.row_key = t.row_key
              where t.import_id = $5) t`,
    [...chosenValues(id, chosen, CORRECTABLE), importId],
  );
  const counted = rows[0];
  if (counted === undefined) throw new Error('a count has one row');
  return counted;
}

/**
 * The chosen rows take the manifest's version, and start anew. What they were stays in the trail, written by the same
 * statement: the request and how it ended, or what had been read and what was wrong with it.
 */
export async function retryChanged(
  db: Queryable,
  id: number,
  importId: string,
  chosen: Chosen,
  who: string,
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `with old as materialized (
       select s.id, s.state, t.position,
              ${WAS} as was
         from vidbatch.submission s
         join vidbatch.staged t on t.import_id = $5 and t.row_key = s.row_key
        where ${CHOSEN} and ${DIFFERS} and t.request is not null
        order by s.id for update of s
     ), ${active('select from old')}, moved as (
       update vidbatch.submission s
          set previous = s.state, state = 'pending', input = t.input, request = t.request, content_hash = t.content_hash,
              model = t.model, mode = t.mode,
              -- Nobody says prices here: the one that is known still holds for as many seconds of the same model.
              price = case when ${SAME_PRICE} then s.price end, currency = case when ${SAME_PRICE} then s.currency end,
              not_before = coalesce(t.not_before, '-infinity'), priority = t.priority, spent = 0,
              halted_at = null, error_code = null, error = null, http_status = null, updated_at = now()
         from old o join vidbatch.staged t on t.import_id = $5 and t.position = o.position
        where s.id = o.id
       returning s.id, s.batch_id, o.was
     ), told as (
       insert into vidbatch.trail (batch_id, submission_id, event, who, detail)
       select batch_id, id, 'retry --changed', $6, was from moved order by id
     )
     select count(*)::int as n from moved`,
    [...chosenValues(id, chosen, CORRECTABLE), importId, who],
  );
  return rows[0]?.n ?? 0;
}
