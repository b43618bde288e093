import type { Limit } from '../../core/rate/limits.ts';
import { AFFORDABLE } from '../budget.ts';
import type { Queryable } from '../../database/database.ts';
import { doubtMsOf } from './doubt.ts';
import { limitParams, WISH_WITH_TURN, WISHES_WITH_TURNS } from './turn.ts';
import { OPEN_MS, WINDOW_OPEN } from './window.ts';

/** A granted claim: the row is `submitting` under `attemptId`, committed. Only what stands here is sent. */
export interface Claim {
  attemptId: string;
  submissionId: number;
  batch: string;
  key: string;
  /** Hash of the request: with the id and the number of the row, it tells the row from another one. */
  content: string;
  /** The exact JSON text of the body. */
  request: string;
  /** Attempts of this row so far, this one included. */
  number: number;
  /** Of the provider, at the claim. */
  epoch: number;
  /** Attempts that cost one: provably not sent, not throttled; or in doubt. */
  spent: number;
  /** How often in a row the provider has throttled, for the backoff. */
  throttleLevel: number;
  /** Known refusals of this row while it was not in doubt: with the submission id, the idempotency key. */
  refusals: number;
  /** Milliseconds since the first attempt of this row that may have been accepted; undefined: none may. */
  doubtMs?: number;
  /** Milliseconds for which its window stays open; undefined: it has none. */
  openMs?: number;
  /** Milliseconds until its turn, under a limit; undefined: there is none. */
  turnMs?: number;
  /** Milliseconds since the epoch by the ledger's clock, of which `turnMs` is counted. */
  nowMs?: number;
}

/** Who claims, and within which limits. Part of every claim of one worker. */
export interface ClaimScope {
  /** The worker's incarnation: names it in attempts. */
  worker: string;
  origin: string;
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  /** Milliseconds from the claim to the attempt's deadline: all HTTP timeouts and a margin. */
  lifetimeMs: number;
  /** Of all workers together, sorted by model. */
  limits?: readonly Limit[];
}

export interface ClaimWish {
  submissionId: number;
  attemptId: string;
}

interface ClaimRow {
  attempt_id: string;
  submission_id: number;
  batch: string;
  row_key: string;
  content_hash: string;
  request: string;
  number: number;
  epoch: number;
  spent: number;
  throttle_level: number;
  refusals: number;
  doubt_ms: number | null;
  open_ms: number | null;
  turn_ms: number | null;
  now_ms: number;
}

const NOW_MS = `(extract(epoch from now()) * 1000)::float8 as now_ms`;

/** The claim's own attempt is not there yet for the statement that makes it. */
const DOUBT_MS = `case when s.doubtful then ${doubtMsOf('s.id')} end as doubt_ms`;
const DOUBT_MS_BEFORE = `case when a.same_key then ${doubtMsOf('s.id')} end as doubt_ms`;

/** Where there are no limits, any row may have its turn. */
const WISHES = `select w.*, null::float8 as turn_ms from unnest($1::bigint[], $2::uuid[]) as w(submission_id, attempt_id)`;
const WISH = `select $1::bigint as submission_id, null::float8 as turn_ms`;

function toClaim(row: ClaimRow): Claim {
  return {
    attemptId: row.attempt_id,
    submissionId: row.submission_id,
    batch: row.batch,
    key: row.row_key,
    content: row.content_hash,
    request: row.request,
    number: row.number,
    epoch: row.epoch,
    spent: row.spent,
    throttleLevel: row.throttle_level,
    refusals: row.refusals,
    ...(row.doubt_ms === null ? {} : { doubtMs: row.doubt_ms }),
    ...(row.open_ms === null ? {} : { openMs: row.open_ms }),
    ...(row.turn_ms === null ? {} : { turnMs: Math.max(0, row.turn_ms), nowMs: row.now_ms }),
  };
}

/**
 * pending → submitting for each wished row whose gates are all open, in one statement, with the attempt row.
 * Compare-and-set: a row that somebody else claimed, or whose gate is shut, is simply not in the answer. Nor is a wish
 * that was granted before and judged meanwhile: an attempt is made once.
 */
export async function claim(
  db: Queryable,
  scope: ClaimScope,
  wishes: readonly ClaimWish[],
): Promise<Claim[]> {
  const { limits = [] } = scope;
  const { rows } = await db.query<ClaimRow>(
    `with wish as materialized (
       ${limits.length === 0 ? WISHES : WISHES_WITH_TURNS}
     ), claimed as (
       update vidbatch.submission s
          set previous = s.state, state = 'submitting', attempt_id = w.attempt_id,
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from wish w, vidbatch.batch b, vidbatch.provider p, vidbatch.meta m
        where s.id = w.submission_id and b.id = s.batch_id and p.origin = b.origin
          and s.state = 'pending' and s.not_before <= now()
          and b.origin = $4 and b.state = 'active' and b.proven and b.budget is null
          and p.state = 'open' and p.throttled_until <= now()
          and m.paused_at is null and ${WINDOW_OPEN}
          and ($6::bigint[] is null or b.id = any($6))
          and not exists (select from vidbatch.attempt a where a.id = w.attempt_id)
       returning s.id as submission_id, s.attempt_id, s.request, s.content_hash, s.attempts as number, s.spent, s.deadline,
                 s.row_key, b.name as batch, p.epoch, p.throttle_level, s.refusals, ${DOUBT_MS}, ${OPEN_MS} as open_ms, w.turn_ms
     ), attempted as (
       insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, same_key, deadline)
       select attempt_id, submission_id, number, $3, $4, epoch, doubt_ms is not null, deadline from claimed
     )
     select submission_id, attempt_id, batch, row_key, content_hash, request, number, epoch, spent, throttle_level, refusals, doubt_ms,
            open_ms, turn_ms, ${NOW_MS}
       from claimed`,
    [
      wishes.map((wish) => wish.submissionId),
      wishes.map((wish) => wish.attemptId),
      scope.worker,
      scope.origin,
      scope.lifetimeMs,
      scope.batches,
      ...limitParams(limits),
    ],
  );
  return rows.map(toClaim);
}

/**
 * The same for one row, with its batch's row locked: only one may be in flight, because the batch has had no accept yet
 * or a halt is being tried out, or the batch has a budget. Takes the batch's canary slot and the provider's probe slot as
 * needed, and of the budget what the row costs; whoever finds a slot taken, or too little left, gets nothing.
 */
export async function claimAlone(
  db: Queryable,
  scope: ClaimScope,
  wish: ClaimWish,
): Promise<Claim | undefined> {
  const { limits = [] } = scope;
  const { rows } = await db.query<ClaimRow>(
    `with wish as materialized (
       ${limits.length === 0 ? WISH : WISH_WITH_TURN}
     ), candidate as (
       select s.id, b.id as batch_id, b.name as batch, b.proven, p.origin, p.state as provider_state, p.epoch, p.throttle_level,
              s.price - s.held as adds, b.budget is not null as budgeted, ${OPEN_MS} as open_ms, w.turn_ms
         from wish w
         join vidbatch.submission s on s.id = w.submission_id
         join vidbatch.batch b on b.id = s.batch_id
         join vidbatch.provider p on p.origin = b.origin
         join vidbatch.meta m on m.paused_at is null
        where s.state = 'pending' and s.not_before <= now()
          and b.origin = $4 and b.state = 'active' and (b.proven or b.canary is null)
          and (p.state = 'open' or (p.state = 'probing' and p.probe is null)) and p.throttled_until <= now()
          and ${WINDOW_OPEN} and ${AFFORDABLE}
          and ($6::bigint[] is null or b.id = any($6))
          and not exists (select from vidbatch.attempt a where a.id = $2)
          for update of b, s, p
     ), canary as (
       update vidbatch.batch b
          set canary = case when c.proven then b.canary else $2 end, held = b.held + c.adds
         from candidate c where b.id = c.batch_id and (not c.proven or c.budgeted)
     ), probe as (
       update vidbatch.provider p set probe = $2 from candidate c
        where p.origin = c.origin and c.provider_state = 'probing'
     ), claimed as (
       update vidbatch.submission s
          set previous = s.state, state = 'submitting', attempt_id = $2,
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from candidate c where s.id = c.id
       returning s.id as submission_id, s.attempt_id, s.request, s.content_hash, s.attempts as number, s.spent, s.deadline,
                 s.row_key, c.batch, c.epoch, c.throttle_level, s.refusals, ${DOUBT_MS}, c.open_ms, c.turn_ms
     ), attempted as (
       insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, same_key, deadline)
       select attempt_id, submission_id, number, $3, $4, epoch, doubt_ms is not null, deadline from claimed
     )
     select submission_id, attempt_id, batch, row_key, content_hash, request, number, epoch, spent, throttle_level, refusals, doubt_ms,
            open_ms, turn_ms, ${NOW_MS}
       from claimed`,
    [
      wish.submissionId,
      wish.attemptId,
      scope.worker,
      scope.origin,
      scope.lifetimeMs,
      scope.batches,
      ...limitParams(limits),
    ],
  );
  return rows[0] && toClaim(rows[0]);
}

/** Those of the wishes that were granted before: their statement was committed, though its answer was lost. */
export async function granted(db: Queryable, wishes: readonly ClaimWish[]): Promise<Claim[]> {
  const { rows } = await db.query<ClaimRow>(
    `select s.id as submission_id, a.id as attempt_id, b.name as batch, s.row_key, s.content_hash, s.request, a.number, a.epoch, s.spent, p.throttle_level,
            s.refusals, ${DOUBT_MS_BEFORE}, ${OPEN_MS} as open_ms, null::float8 as turn_ms, ${NOW_MS}
       from vidbatch.attempt a
       join vidbatch.submission s on s.attempt_id = a.id and s.state = 'submitting'
       join vidbatch.batch b on b.id = s.batch_id
       join vidbatch.provider p on p.origin = a.origin
      cross join vidbatch.meta m
      where a.id = any($1::uuid[]) and a.outcome is null`,
    [wishes.map((wish) => wish.attemptId)],
  );
  return rows.map(toClaim);
}
