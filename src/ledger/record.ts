import type { Outcome } from '../provider/outcome.ts';
import { isReached, isUnreached } from '../provider/reach.ts';
import type { SameKey } from '../retry.ts';
import type { State } from '../submission.ts';
import { recordPlainAcceptances } from './acceptance.ts';
import type { Queryable } from './database.ts';
import { unknownOf } from './doubt.ts';

/**
 * Five uncertain answers in a row without an accept, or this long throttled without one: the provider is halted. Ten
 * tries in a row that reached nobody: one row at a time goes on knocking, and if nobody was ever there, or for this long,
 * it is halted.
 */
export const AVALANCHE = {
  uncertainInARow: 5,
  throttledMs: 15 * 60_000,
  unreachedInARow: 10,
  unreachedMs: 15 * 60_000,
} as const;

/** Before so many outcomes a share says nothing. */
export const FEWEST_OUTCOMES = 50;

export interface Result {
  attemptId: string;
  outcome: Outcome;
  /** When a row that goes back to pending may be tried again; ignored for other outcomes. */
  waitMs: number;
  /** Attempts after which a row that was provably not sent is exhausted. */
  maxAttempts: number;
  /** Leave to send a row again of which nobody knows; without it, such a row is uncertain. */
  sameKey?: SameKey;
}

/** What became of the row. `moved` false: the attempt had been recorded before, or a newer one decides. */
export interface Recorded {
  attemptId: string;
  state: State;
  moved: boolean;
  surplus: boolean;
  /** Its task id was known before, from another attempt of the row. */
  known: boolean;
  /** The provider is stopped now, for all workers. */
  halted: boolean;
}

/**
 * Records what attempts told us, by attempt id, in one statement: the attempt, its row, the slots it held, and
 * what it means for the provider as a whole. Legal from `submitting` and, for late truth, from `uncertain`; a task
 * id is kept wherever its row stands, as `surplus` if the row has another already. Recording twice changes nothing.
 *
 * While a row is in doubt (another attempt of it may have been accepted), no refusal settles it and its idempotency
 * key stays: it is sent again if it may be, else it is uncertain.
 */
export async function record(db: Queryable, results: readonly Result[]): Promise<Recorded[]> {
  if (!results.every((result) => result.outcome.kind === 'accepted')) return recordAny(db, results);
  const plain = new Set(await recordPlainAcceptances(db, toJson(results)));
  const others = results.filter((result) => !plain.has(result.attemptId));
  return [
    ...[...plain].map((attemptId) => ({ attemptId, state: 'submitted', ...PLAIN }) as const),
    ...(others.length === 0 ? [] : await recordAny(db, others)),
  ];
}

const PLAIN = { moved: true, surplus: false, known: false, halted: false };

async function recordAny(db: Queryable, results: readonly Result[]): Promise<Recorded[]> {
  const { rows } = await db.query<{
    attempt_id: string;
    state: State;
    moved: boolean;
    surplus: boolean;
    known: boolean;
    halted: boolean;
  }>(
    `with result as (
       select distinct on (r.attempt_id) * from jsonb_to_recordset($1::jsonb) as r(
         attempt_id uuid, kind text, phase text, http_status int, code text, message text, request_id text, headers text,
         task_id text, provider_status text, body text, wait_ms float8, max_attempts int,
         same_key boolean, reached boolean, unreached boolean)
     ), attempt as (
       select r.*, a.submission_id, a.number, a.epoch, a.origin, a.claimed_at
         from result r join vidbatch.attempt a on a.id = r.attempt_id
        where a.outcome is null
        order by a.submission_id
          for update of a
     ), row as (
       select t.*, s.batch_id, s.state, s.previous, s.attempt_id = t.attempt_id as latest, s.spent, s.halted_at,
              s.doubtful, s.task_id as row_task_id, s.price, s.held,
              b.state as batch_state, p.epoch as provider_epoch, p.unreached_streak >= $4 as nobody, b.trial_at
         from attempt t
         join vidbatch.submission s on s.id = t.submission_id
         join vidbatch.batch b on b.id = s.batch_id
         join vidbatch.provider p on p.origin = t.origin
        order by s.id
          for update of s
     ), judged as (
       select *,
              kind = 'halted' and exists (
                select from vidbatch.halt h where h.origin = row.origin and h.lifted_at > row.halted_at
              ) as hopeless,
              -- Two attempts of one row in one group: a task id decides, the earlier one, whatever the other says.
              bool_or(kind = 'accepted') over (partition by submission_id) as has_task_id,
              row_number() over (partition by submission_id, kind = 'accepted' order by number) as turn,
              -- An id that comes twice is one task.
              kind = 'accepted' and task_id <> coalesce(row_task_id, first_value(task_id) over (
                partition by submission_id, kind = 'accepted' order by number)) as other_task,
              row_number() over (partition by submission_id, task_id order by number) > 1 or exists (
                select from vidbatch.attempt o where o.submission_id = row.submission_id and o.task_id = row.task_id
              ) as known_task,
              case when doubtful then ${unknownOf(
                'row.submission_id',
                `and o.id <> row.attempt_id
                and not exists (select from attempt r where r.attempt_id = o.id and r.kind <> 'uncertain')`,
              )} end as doubt
         from row
     ), priced as (
       select *,
              -- A row in doubt must come to an end, whatever it is answered; where nobody answers, no row is to blame.
              case when (kind = 'not-sent' and not (unreached and nobody)) or (same_key and (kind = 'uncertain' or (kind = 'throttled' and doubt is not null)))
                then 1 else 0 end as cost
         from judged
     ), decided as (
       select *,
              case
                when has_task_id then 'submitted'
                when not latest or state not in ('submitting', 'uncertain') then state
                when kind = 'uncertain' or doubt is not null then
                  case when same_key and kind <> 'rejected' and not hopeless and batch_state <> 'cancelled'
                            and spent + cost < max_attempts then 'pending' else 'uncertain' end
                when kind = 'rejected' or hopeless then 'rejected'
                when kind = 'not-sent' and cost > 0 and spent + cost >= max_attempts then 'exhausted'
                when batch_state = 'cancelled' then 'cancelled'
                else 'pending'
              end as next,
              other_task and not known_task as surplus,
              case when has_task_id then kind = 'accepted' and state <> 'submitted' and turn = 1
                   else latest and state in ('submitting', 'uncertain') end as decides,
              kind = 'halted' and epoch = provider_epoch and not hopeless as halting
         from priced
     ), settled as (
       update vidbatch.attempt a
          set outcome = d.kind, finished_at = now(), phase = d.phase, http_status = d.http_status,
              error_code = d.code, error = d.message, request_id = d.request_id, headers = d.headers,
              task_id = d.task_id, surplus = d.surplus, body = d.body
         from decided d where a.id = d.attempt_id
     ), moved as (
       update vidbatch.submission s
          set previous = case when d.next = d.state then s.previous else d.state end,
              state = d.next,
              task_id = case when d.next = 'submitted' then coalesce(s.task_id, d.task_id) end,
              submitted_at = case when d.next = 'submitted' then coalesce(s.submitted_at, now()) end,
              provider_status = case when d.kind = 'accepted' and not d.surplus then 'queued' else s.provider_status end,
              http_status = d.http_status,
              error_code = case when d.kind = 'accepted' then null else d.code end,
              error = case when d.kind = 'accepted' then null else d.message end,
              spent = s.spent + d.cost,
              refusals = s.refusals + case when d.kind in ('accepted', 'uncertain') or d.doubt is not null then 0 else 1 end,
              doubtful = case d.next when 'pending' then d.kind = 'uncertain' or d.doubt is not null
                                     when 'uncertain' then d.doubt is not null
                                     else false end,
              -- The attempt that decides: what is uncertain is decided by the one of which nobody knows.
              attempt_id = case when d.next = 'uncertain' and d.kind <> 'uncertain' then d.doubt else s.attempt_id end,
              halted_at = case when d.kind = 'halted' then coalesce(s.halted_at, now()) else s.halted_at end,
              not_before = case when d.next = 'pending' and d.kind in ('throttled', 'not-sent', 'uncertain')
                then now() + d.wait_ms * interval '1 millisecond' else s.not_before end,
              lane = case when d.next = 'pending' and d.kind in ('throttled', 'not-sent', 'uncertain') then s.lane end,
              queued_at = now(),
              deadline = null,
              updated_at = now()
         from decided d
        where s.id = d.submission_id and d.decides
       returning s.id, s.held
     ), per_batch as (
       select d.batch_id, bool_or(d.kind = 'accepted') as accepted, array_agg(d.attempt_id) as attempts,
              -- A refusal gives back what was held for the row; a second task of it costs once more.
              sum(case when d.decides then m.held - d.held else 0 end
                  + case when d.surplus then coalesce(d.price, 0) else 0 end) as holds,
              count(*) filter (where o.good) as good, count(*) filter (where o.bad) as bad,
              (array_agg(d.message order by d.number desc) filter (where o.bad))[1] as last
         from decided d left join moved m on m.id = d.submission_id
        cross join lateral (
          select d.decides and d.next <> d.state and d.claimed_at >= d.trial_at as counts) c
        cross join lateral (
          select c.counts and d.next = 'submitted' as good, c.counts and d.next in ('rejected', 'exhausted') as bad) o
        group by d.batch_id
     ), weighed as (
       select b.id, t.*, n.*,
              case when b.state not in ('active', 'paused') then null
                   when b.canary_rows is not null and not b.proven and t.bad > 0 then 'CANARY_FAILED'
                   when n.outcomes >= $6 and n.failed >= b.fail_share * n.outcomes then 'TOO_MANY_FAILED' end as stop
         from per_batch t join vidbatch.batch b on b.id = t.batch_id
        cross join lateral (
          select b.proven or case when b.canary_rows is null then t.accepted else t.good >= b.canaries end as proven,
                 b.failed + t.bad as failed, b.succeeded + t.good + b.failed + t.bad as outcomes) n
        where not b.proven or b.fail_share is not null or (b.held is not null and t.holds <> 0)
        order by b.id
          for update of b
     ), proved as (
       update vidbatch.batch b
          set proven = w.proven,
              canary = case when w.proven or b.canary = any(w.attempts) then null else b.canary end,
              canaries = greatest(0, b.canaries - w.good),
              held = b.held + w.holds,
              succeeded = b.succeeded + w.good,
              failed = w.failed,
              state = case when w.stop is null then b.state else 'stopped' end,
              stop_code = coalesce(w.stop, b.stop_code),
              stop_reason = case w.stop
                when 'CANARY_FAILED' then 'one of the first rows failed, and ' || b.canary_rows || ' were to be accepted before the rest'
                                          || coalesce(': ' || w.last, '')
                when 'TOO_MANY_FAILED' then w.failed || ' of ' || w.outcomes || ' rows failed, and ' || trim_scale(b.fail_share * 100)
                                            || '% stop the batch' || coalesce('; the last: ' || w.last, '')
                else b.stop_reason end
         from weighed w
        where b.id = w.id
     ), told as (
       insert into vidbatch.trail (batch_id, event, detail) select id, 'stop', stop from weighed where stop is not null
     ), per_origin as (
       select origin,
              count(*) filter (where kind = 'accepted') as accepted,
              bool_or(kind = 'accepted' and epoch = provider_epoch) as accepted_now,
              count(*) filter (where kind = 'uncertain' and epoch = provider_epoch) as uncertain,
              bool_or(halting) as halting,
              max(wait_ms) filter (where kind = 'throttled') as throttled_ms,
              max(claimed_at) filter (where kind = 'throttled') as throttled_claim,
              bool_or(reached) as reached,
              count(*) filter (where unreached and epoch = provider_epoch) as unreached,
              array_agg(attempt_id) as attempts
         from decided group by origin
     ), shaken as (
       select o.*, n.nobody, n.nobody and n.given_up as hopeless,
              (n.nobody and n.given_up) or o.accepted = 0 and (
                (o.uncertain > 0 and p.uncertain_streak + o.uncertain >= $2)
                or (o.throttled_ms is not null and p.throttled_since < now() - $3 * interval '1 millisecond')
              ) as raised
         from per_origin o join vidbatch.provider p on p.origin = o.origin
        cross join lateral (
          select o.unreached > 0 and not o.reached and p.unreached_streak + o.unreached >= $4 as nobody,
                 -- Who was there before may come back.
                 coalesce(p.unreached_since < now() - $5 * interval '1 millisecond', false)
                   or not exists (select from vidbatch.batch b where b.origin = o.origin and b.proven) as given_up
        ) n
        where o.halting or o.uncertain > 0 or o.throttled_ms is not null or p.probe = any(o.attempts)
           or o.unreached > 0 or (o.reached and p.unreached_streak > 0)
           or (o.accepted > 0 and (p.throttle_level > 0 or p.uncertain_streak > 0
                                   or p.throttled_since is not null or p.state = 'probing'))
          for update of p
     ), guarded as (
       update vidbatch.provider p
          set state = case
                when t.halting or t.raised then 'halted'
                when p.state = 'probing' and t.accepted_now then 'open'
                when p.state = 'open' and t.nobody then 'probing'
                else p.state
              end,
              probe = case when p.probe = any(t.attempts) then null else p.probe end,
              throttled_until = greatest(p.throttled_until, now() + t.throttled_ms * interval '1 millisecond',
                case when t.nobody and not t.raised
                  then now() + least(60, 2 ^ least(p.unreached_streak + t.unreached - $4, 6)) * interval '1 second' end),
              throttled_since = case
                when t.accepted > 0 or t.raised then null
                when t.throttled_ms is not null then coalesce(p.throttled_since, now())
                else p.throttled_since
              end,
              throttle_level = case
                when t.accepted > 0 then 0
                when t.throttled_claim >= p.throttle_raised then p.throttle_level + 1
                else p.throttle_level
              end,
              throttle_raised = case
                when t.accepted = 0 and t.throttled_claim >= p.throttle_raised then now()
                else p.throttle_raised
              end,
              uncertain_streak = case when t.accepted > 0 or t.raised then 0 else p.uncertain_streak + t.uncertain end,
              unreached_streak = case when t.reached then 0 else p.unreached_streak + t.unreached end,
              unreached_since = case when not t.reached and t.unreached > 0 then coalesce(p.unreached_since, now())
                                     when not t.reached then p.unreached_since end
         from shaken t
        where p.origin = t.origin
       returning p.origin, p.state, t.halting, t.raised, t.hopeless, p.unreached_streak,
                 t.throttled_ms is not null as throttled
     ), halted as (
       insert into vidbatch.halt (origin, code, reason, http_status, attempt_id)
       select distinct on (g.origin) g.origin,
              case when g.halting then coalesce(d.code, 'HALTED')
                   when g.hopeless then 'NOBODY_ANSWERS'
                   when g.throttled then 'THROTTLED_TOO_LONG' else 'UNCERTAIN_IN_A_ROW' end,
              case when g.halting then coalesce(d.message, 'the provider refuses every row')
                   when g.hopeless then 'nobody answers at ' || g.origin || ': ' || g.unreached_streak
                                        || ' tries in a row reached nobody, the last: ' || coalesce(d.message, '')
                   when g.throttled then 'throttled for over 15 minutes without one accept: ' || coalesce(d.message, '')
                   else $2 || ' answers in a row that nobody can judge, the last: ' || coalesce(d.message, '') end,
              d.http_status, d.attempt_id
         from guarded g join decided d on d.origin = g.origin and (d.halting or not g.halting)
        where g.halting or g.raised
        order by g.origin, d.halting desc, (d.unreached and g.hopeless) desc, (d.kind in ('uncertain', 'throttled')) desc
       on conflict (origin) where lifted_at is null do update
          set code = excluded.code, reason = excluded.reason, http_status = excluded.http_status,
              attempt_id = excluded.attempt_id
     ), lifted as (
       update vidbatch.halt h set lifted_at = now()
         from guarded g where h.origin = g.origin and h.lifted_at is null and g.state = 'open'
     )
     select d.attempt_id, d.next as state, d.decides and d.next <> d.state as moved, d.surplus,
            d.kind = 'accepted' and d.known_task as known,
            exists (select from guarded g where g.origin = d.origin and g.state = 'halted') as halted
       from decided d`,
    [
      toJson(results),
      AVALANCHE.uncertainInARow,
      AVALANCHE.throttledMs,
      AVALANCHE.unreachedInARow,
      AVALANCHE.unreachedMs,
      FEWEST_OUTCOMES,
    ],
  );
  return rows.map((row) => ({
    attemptId: row.attempt_id,
    state: row.state,
    moved: row.moved,
    surplus: row.surplus,
    known: row.known,
    halted: row.halted,
  }));
}

/** What stands in the ledger for attempts that had been recorded before. */
export async function recordedBefore(db: Queryable, attemptIds: readonly string[]): Promise<Recorded[]> {
  const { rows } = await db.query<{ attempt_id: string; state: State; surplus: boolean; halted: boolean }>(
    `select a.id as attempt_id, s.state, a.surplus, p.state = 'halted' as halted
       from vidbatch.attempt a
       join vidbatch.submission s on s.id = a.submission_id
       join vidbatch.provider p on p.origin = a.origin
      where a.id = any($1::uuid[])`,
    [attemptIds],
  );
  return rows.map((row) => ({
    attemptId: row.attempt_id,
    state: row.state,
    moved: false,
    surplus: row.surplus,
    known: false,
    halted: row.halted,
  }));
}

function toJson(results: readonly Result[]): string {
  return JSON.stringify(results.map(toRow));
}

function toRow({ attemptId, outcome, waitMs, maxAttempts, sameKey }: Result): Record<string, unknown> {
  const { evidence } = outcome;
  return {
    attempt_id: attemptId,
    kind: outcome.kind,
    phase: evidence.phase,
    http_status: evidence.httpStatus,
    code: storable(evidence.code),
    message: storable(evidence.message),
    request_id: storable(evidence.requestId),
    headers: evidence.headers === undefined ? undefined : JSON.stringify(evidence.headers),
    task_id: outcome.kind === 'accepted' ? storable(outcome.taskId) : undefined,
    body: storable(evidence.body),
    wait_ms: waitMs,
    max_attempts: maxAttempts,
    same_key: sameKey !== undefined,
    reached: isReached(outcome),
    unreached: isUnreached(outcome),
  };
}

/** Postgres text holds neither NUL nor lone surrogates; an answer may. A record must never fail over that. */
function storable(text: string | undefined): string | undefined {
  return text?.toWellFormed().replaceAll('\0', '\uFFFD');
}
