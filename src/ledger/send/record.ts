import type { State } from '../../core/submission.ts';
import { recordPlainAcceptances } from './acceptance.ts';
import { GUARD, GUARD_PARAMS } from './avalanche.ts';
import type { Queryable } from '../../database/database.ts';
import { unknownOf } from './doubt.ts';
import { toJson } from './result.ts';
import type { Recorded, Result } from './result.ts';
import { FEWEST_OUTCOMES } from './trial.ts';

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
              s.row_key, s.doubtful, s.task_id as row_task_id, s.price, s.held,
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
              (array_agg(d.message order by d.number desc, d.attempt_id) filter (where o.bad))[1] as last,
              (array_agg(d.row_key order by d.number desc, d.attempt_id) filter (where o.bad))[1] as last_key
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
        -- What nobody weighs is not counted, as plain acceptances are not: what a budget gets back is no share of anything.
        cross join lateral (select not b.proven or b.fail_share is not null as counts) c
        cross join lateral (
          select b.proven or case when b.canary_rows is null then t.accepted else t.good >= b.canaries end as proven,
                 b.failed + c.counts::int * t.bad as failed, b.succeeded + c.counts::int * t.good as succeeded) o
        cross join lateral (select o.*, o.failed + o.succeeded as outcomes) n
        where c.counts or (b.held is not null and t.holds <> 0)
        order by b.id
          for update of b
     ), proved as (
       update vidbatch.batch b
          set proven = w.proven,
              canary = case when w.proven or b.canary = any(w.attempts) then null else b.canary end,
              canaries = greatest(0, b.canaries - w.good),
              held = b.held + w.holds,
              succeeded = w.succeeded,
              failed = w.failed,
              state = case when w.stop is null then b.state else 'stopped' end,
              stop_code = coalesce(w.stop, b.stop_code),
              stop_reason = case w.stop
                when 'CANARY_FAILED' then 'row ' || w.last_key || ' failed, and the first ' || case b.canary_rows when 1 then 'row' else b.canary_rows || ' rows' end
                                          || ' must be accepted before the rest' || coalesce(': ' || w.last, '')
                when 'TOO_MANY_FAILED' then w.failed || ' of ' || w.outcomes || ' rows failed, and ' || trim_scale(b.fail_share * 100)
                                            || '% stop the batch' || coalesce('; the last: ' || w.last, '')
                else b.stop_reason end
         from weighed w
        where b.id = w.id
     ), told as (
       insert into vidbatch.trail (batch_id, event, detail) select id, 'stop', stop from weighed where stop is not null
     ), ${GUARD}
     select d.attempt_id, d.next as state, d.decides and d.next <> d.state as moved, d.surplus,
            d.kind = 'accepted' and d.known_task as known,
            exists (select from guarded g where g.origin = d.origin and g.state = 'halted') as halted
       from decided d`,
    [toJson(results), ...GUARD_PARAMS, FEWEST_OUTCOMES],
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
