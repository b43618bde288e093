import type { SameKey } from '../../core/retry-policy.ts';
import type { Queryable } from '../../database/database.ts';

/** Attempts `o` that may or may not have been accepted, as SQL. */
export const UNKNOWN = `(o.outcome is null or o.outcome = 'uncertain')`;

/** The latest such attempt of a submission, as an SQL expression, or another column of it; null without one. */
export function unknownOf(submission: string, more = '', column: 'id' | 'claimed_at' = 'id'): string {
  return `(select o.${column} from vidbatch.attempt o where o.submission_id = ${submission} and ${UNKNOWN} ${more}
            order by o.number desc, o.id desc limit 1)`;
}

/**
 * Milliseconds since the idempotency key of a row was first used, as an SQL expression over its record in `row_state`.
 * Infinity: an attempt that may have been accepted was made by another profile than `profile`, so it may have had another
 * key, or none. Null: no attempt of the row may have been accepted.
 */
export function doubtMsOf(row: string, profile: string): string {
  return `(select case when bool_or(${UNKNOWN} and o.profile_id is distinct from ${profile}) then 'infinity'::float8
                       when bool_or(${UNKNOWN}) then (extract(epoch from now() - min(o.claimed_at)) * 1000)::float8 end
             from vidbatch.attempt o
            where o.submission_id = ${row}.id and (${UNKNOWN} or o.refusals = ${row}.refusals))`;
}

/** Cancels a waiting row `s`, as assignments. A row that may have been accepted becomes uncertain instead. */
export const CALLED_OFF = `
  previous = s.state, state = case when s.doubtful then 'uncertain' else 'cancelled' end, updated_at = now(),
  attempt_id = case when s.doubtful then coalesce(${unknownOf('s.id')}, s.attempt_id) else s.attempt_id end,
  called_at = case when s.doubtful then coalesce(${unknownOf('s.id', '', 'claimed_at')}, s.called_at) else s.called_at end`;

/** Permission to send rows without an answer again: at one provider, up to a number of attempts, and by profile. */
export interface Again {
  origin: string;
  maxAttempts: number;
  /** By the number of the profile. Rows of other profiles stay uncertain. */
  sameKeys: ReadonlyMap<number, SameKey>;
}

/** The lives of keys by profile, as JSON for `mayGoAgain`. */
export function livesOf(again: Again | undefined): string {
  const lives = [...(again?.sameKeys ?? [])].map(([profile, { lifeMs }]) => [profile, lifeMs] as const);
  return JSON.stringify(Object.fromEntries(lives));
}

/**
 * Whether row `s` of batch `b` may be sent again although its attempt `a` has no answer, as SQL: at this provider, with
 * attempts left, and before the provider may have forgotten the key. Not if the attempt was restored from a journal (its
 * intent is as old as its claim): the ledger had lost it, and may have lost what its key was made of.
 */
export function mayGoAgain(origin: string, maxAttempts: string, lives: string): string {
  return `a.origin = ${origin}::text and b.origin = ${origin}::text and b.state <> 'cancelled'
          and a.intended_at is distinct from a.claimed_at and s.spent + 1 < ${maxAttempts}::int
          and ${doubtMsOf('s', 'b.profile_id')} < (${lives}::jsonb ->> b.profile_id::text)::float8`;
}

/**
 * Makes rows pending again that were swept without permission to send them again. Rows with an answer that was recorded as
 * uncertain stay: there was a reason not to send them again. Returns how many were made pending.
 */
export async function sendUnheardAgain(db: Queryable, again: Again): Promise<number> {
  const { rows } = await db.query(
    `update vidbatch.row_state s
        set previous = s.state, state = 'pending', doubtful = true, spent = s.spent + 1, updated_at = now()
       from vidbatch.attempt a, vidbatch.batch b
      where s.state = 'uncertain' and a.id = s.attempt_id and b.id = s.batch_id
        and a.outcome is null and a.swept_at is not null and ${mayGoAgain('$1', '$2', '$3')}
     returning s.id`,
    [again.origin, again.maxAttempts, livesOf(again)],
  );
  return rows.length;
}
