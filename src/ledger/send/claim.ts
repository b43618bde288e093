import type { Limit } from '../../core/rate/rate-limits.ts';
import type { Queryable } from '../../database/database.ts';
import { doubtMsOf } from './unknown-outcome.ts';
import { ASKED, chosen, CLAIMED, HAS_UNHALTED, IN_ORDER, OPEN_BATCH, pick, UNUSED } from './claim-parts.ts';
import { CLAIM_ORDER } from './group.ts';
import { limitParams } from './rate-limiter.ts';

/** A granted claim: the row is `submitting` under `attemptId`, committed. Only what it contains is sent. */
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
  /** The epoch of the provider at the claim. */
  epoch: number;
  /** The profile of its batch, at the claim: the row is sent by it. */
  profileId: number;
  /** Attempts that cost one: provably not sent, not throttled; or in doubt. */
  spent: number;
  /** How often in a row the provider has throttled, for the backoff. */
  throttleLevel: number;
  /** Known refusals of this row while it was not in doubt: with the submission id, the idempotency key. */
  refusals: number;
  /**
   * An attempt of this row may have been accepted: milliseconds since its key was first used, or Infinity if this attempt
   * may carry another key. Undefined: none may have been.
   */
  doubtMs?: number;
  /** Milliseconds until its slot under a limit; undefined without a limit. */
  slotMs?: number;
  /** The time from which `slotMs` counts: milliseconds since the epoch by the ledger's clock. */
  nowMs?: number;
  /** Its place, where all rows of its batch that are due have one model and one priority, and no limit holds. */
  place?: Place;
}

/** The position of a row in the order in which rows of one batch are claimed. */
export interface Place {
  model: string;
  priority: number;
  /** As Postgres writes it. */
  notBefore: string;
  submissionId: number;
}

/** The worker that claims, and its limits. Part of every claim of one worker. */
export interface ClaimScope {
  /** The worker's incarnation: names it in attempts. */
  worker: string;
  origin: string;
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  /** Milliseconds from the claim to the attempt's deadline: all HTTP timeouts and a margin. */
  lifetimeMs: number;
  /** The limits of all workers together, sorted by model. */
  limits?: readonly Limit[];
}

/** Permission to claim as many rows of a batch as there are ids. Each id is used for one attempt, once. */
export interface Wish {
  batchId: number;
  attemptIds: readonly string[];
}

type ClaimRow = Omit<Claim, 'doubtMs' | 'slotMs' | 'nowMs' | 'place'> & {
  doubtMs: number | null;
  slotMs: number | null;
  nowMs: number;
  /** Null: the claim has no place. */
  model: string | null;
  priority: number;
  notBefore: string;
};

const NOW_MS = `(extract(epoch from now()) * 1000)::float8 as "nowMs"`;

const COLUMNS = `submission_id as "submissionId", attempt_id as "attemptId", batch, row_key as key, content_hash as content,
            request, number, epoch, profile_id as "profileId", spent, throttle_level as "throttleLevel", refusals,
            doubt_ms as "doubtMs", slot_ms as "slotMs", ${NOW_MS}`;
const ITS_PLACE = 'priority, not_before::text as "notBefore"';
const PLACE = `case when (select count(*) from due) = 1 then model end as model, ${ITS_PLACE}`;
const NO_PLACE = 'null::text as model, 0 as priority, null::text as "notBefore"';

function toClaim({ doubtMs, slotMs, nowMs, model, priority, notBefore, ...row }: ClaimRow): Claim {
  return {
    ...row,
    ...(doubtMs === null ? {} : { doubtMs }),
    ...(slotMs === null ? {} : { slotMs: Math.max(0, slotMs), nowMs }),
    ...(model === null ? {} : { place: { model, priority, notBefore, submissionId: row.submissionId } }),
  };
}

function params(scope: ClaimScope, { batchId, attemptIds }: Wish, more: readonly unknown[]): unknown[] {
  return [batchId, attemptIds, scope.worker, scope.origin, scope.lifetimeMs, scope.batches, ...more];
}

/**
 * Claims rows of a batch that has had an accepted row and no budget, at a provider that is open: one statement, one
 * commit, an attempt for each row. Fewer than asked, or none: the others are blocked, or another worker is claiming them.
 */
export async function claim(db: Queryable, scope: ClaimScope, wish: Wish): Promise<Claim[]> {
  const limited = (scope.limits ?? []).length > 0;
  const { rows } = await db.query<ClaimRow>(
    `with ${UNUSED}, batch as materialized (${OPEN_BATCH}
          and b.proven and b.budget is null and p.state = 'open'
     ), ${pick(ASKED, limited, false)}, ${chosen(ASKED, limited)}, ${CLAIMED}
     select ${COLUMNS}, ${limited ? NO_PLACE : PLACE} from claimed
      order by claimed.priority desc, claimed.not_before, submission_id`,
    params(scope, wish, limitParams(scope.limits ?? [])),
  );
  return rows.map(toClaim);
}

/**
 * The same for the rows after `place`, while no other rows of the batch are due. It is cheaper: a claim searches from
 * the first pending row, and so reads the index entries of all rows that were sent since the last vacuum. Rows that
 * became due before that place, or that have another model or priority, wait for the next `claim`: so ask for a new
 * place often. Do not repeat it after an error: it does not check whether its attempts were made.
 */
export async function claimAfter(
  db: Queryable,
  scope: ClaimScope,
  wish: Wish,
  place: Place,
): Promise<Claim[]> {
  const { rows } = await db.query<ClaimRow>(
    `with batch as materialized (${OPEN_BATCH}
          and b.proven and b.budget is null and p.state = 'open'
     ), picked as materialized (
       select c.id, row_number() over () as n
         from batch
        cross join lateral (
          select s.id from vidbatch.row_state s
           where s.batch_id = batch.id and s.model = $7 and s.priority = $8 and s.state = 'pending'
             and (s.not_before, s.id) > ($9::timestamptz, $10::bigint) and s.not_before <= now()
           order by ${CLAIM_ORDER}
           limit cardinality($2::uuid[])
             for update skip locked
        ) c
        where (batch.off_peak_too or not vidbatch.is_off_peak($7)) and $7 <> all (batch.paused_models)
     ), chosen as (
       select p.id, p.n, null::float8 as slot_ms, null::numeric as adds from picked p
     ), wish as (
       select id, n from unnest($2::uuid[]) with ordinality w(id, n)
     ), ${CLAIMED}
     select ${COLUMNS}, model, ${ITS_PLACE} from claimed
      order by claimed.not_before, submission_id`,
    params(scope, wish, [place.model, place.priority, place.notBefore, place.submissionId]),
  );
  return rows.map(toClaim);
}

/**
 * The same as `claim`, with the batch and its provider locked. It is for a batch with a budget, because the claim takes
 * the cost of the rows from the budget. It is also for the cases in which only one row may be in flight: the batch has
 * had no accepted row yet (canary), or a halted provider is being probed. The probe is a row that has not caused the
 * halt, if there is one: one bad row must not keep the provider halted.
 */
export async function claimLocked(
  db: Queryable,
  scope: ClaimScope,
  wish: Wish,
): Promise<{ claims: Claim[]; lockNeeded: boolean }> {
  const limited = (scope.limits ?? []).length > 0;
  const most = `(select case when proven and not probing then ${ASKED} else least(1, ${ASKED}) end from batch)`;
  const { rows } = await db.query<ClaimRow & { lockNeeded: boolean }>(
    `with ${UNUSED}, locked as materialized (${OPEN_BATCH}
          for update of b, p
     ), batch as materialized (
       select locked.*, probing and ${HAS_UNHALTED} as has_unhalted from locked
     ), ${pick(most, limited, true)}, affordable as (
       select p.* from (select *, sum(adds) over (${IN_ORDER}) as upto from picked) p cross join batch
        where batch.currency is null or p.upto <= batch.money
     ), ${chosen(most, limited, 'affordable')}, ${CLAIMED}, taken as (
       select (array_agg(attempt_id))[1] as attempt_id, sum(adds) as adds from claimed having count(*) > 0
     ), charged as (
       update vidbatch.batch b
          set canary = case when batch.proven then b.canary else t.attempt_id end, held = b.held + t.adds
         from batch, taken t where b.id = batch.id and (not batch.proven or batch.currency is not null)
     ), probed as (
       update vidbatch.provider p set probe = t.attempt_id
         from batch, taken t where p.origin = batch.origin and batch.probing
     )
     select ${COLUMNS}, ${NO_PLACE}, (select not proven or probing or currency is not null from batch) as "lockNeeded" from claimed`,
    params(scope, wish, limitParams(scope.limits ?? [])),
  );
  let lockNeeded = true;
  const claims = rows.map(({ lockNeeded: isNeeded, ...row }) => {
    lockNeeded = isNeeded;
    return toClaim(row);
  });
  return { claims, lockNeeded };
}

/** Those of the attempts that were made: their statement was committed, although its answer was lost. */
export async function granted(db: Queryable, attemptIds: readonly string[]): Promise<Claim[]> {
  const { rows } = await db.query<ClaimRow>(
    `select s.id as "submissionId", a.id as "attemptId", b.name as batch, s.row_key as key, s.content_hash as content,
            s.request, a.number, a.epoch, coalesce(a.profile_id, b.profile_id) as "profileId", s.spent,
            p.throttle_level as "throttleLevel", s.refusals,
            case when a.same_key then ${doubtMsOf('s', 'a.profile_id')} end as "doubtMs", null::float8 as "slotMs", ${NOW_MS},
            ${NO_PLACE}
       from vidbatch.attempt a
       join vidbatch.submission s on s.attempt_id = a.id and s.state = 'submitting'
       join vidbatch.batch b on b.id = s.batch_id
       join vidbatch.provider p on p.origin = a.origin
      where a.id = any($1::uuid[]) and a.outcome is null`,
    [attemptIds],
  );
  return rows.map(toClaim);
}
