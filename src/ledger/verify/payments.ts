import { EXPLAIN, IN_SLICE } from './invariant.ts';
import type { Invariant } from './invariant.ts';

/** Nobody knows whether the provider accepted it. */
const UNKNOWN = `(a.outcome = 'uncertain' or (a.outcome is null and a.swept_at is not null))`;

/** Paid once, and no task id is lost. */
export const PAYMENT_INVARIANTS: readonly Invariant[] = [
  {
    name: 'paid-once',
    holds: 'a row is accepted once',
    severity: 'risk',
    next: 'both tasks exist at the provider: cancel or use the second one there',
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'was paid twice: attempt ' || a.number || ' has task ' || a.task_id
                 || coalesce(' besides task ' || s.task_id, '') as what
            from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           where ${IN_SLICE} and a.surplus`,
  },
  {
    name: 'task-id-kept',
    holds: 'the task id of every accepted attempt stands on its row, or is known as surplus or as made again',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'is ' || s.state || coalesce(' as task ' || s.task_id, '') || ', and attempt ' || a.number
                 || ' was accepted as task ' || a.task_id as what
            from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           where ${IN_SLICE} and a.outcome = 'accepted' and not a.surplus and a.remade_at is null
             and a.task_id is distinct from s.task_id
             -- An id that comes twice is one task.
             and not exists (select from vidbatch.attempt o
                              where o.submission_id = s.id and o.task_id = a.task_id
                                and (o.surplus or o.remade_at is not null))`,
  },
  {
    name: 'submitted-accepted',
    holds: 'a submitted row has the task id of an attempt that was accepted, or that a person has found so',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is submitted as task ' || s.task_id || ', which no answer and no person has told of' as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.state = 'submitted'
             and not exists (select from vidbatch.attempt a
                              where a.submission_id = s.id and a.outcome = 'accepted' and not a.surplus
                                and a.task_id = s.task_id)`,
  },
  {
    name: 'task-id-once',
    holds: 'a task id stands on one row',
    severity: 'risk',
    next: EXPLAIN,
    over: 'whole',
    sql: `with named as (
            select a.submission_id, a.task_id, a.origin from vidbatch.attempt a where a.task_id is not null
            union
            -- Of no attempt: it should not be, and belongs to the provider of its batch.
            select s.id, s.task_id, coalesce(b.origin, '')
              from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
             where s.task_id is not null
               and not exists (select from vidbatch.attempt a
                                where a.submission_id = s.id and a.task_id = s.task_id)
          ), shared as (
            select task_id, origin, count(*) as n from named group by task_id, origin having count(*) > 1
          )
          select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'task ' || d.task_id || ' stands on ' || d.n || ' rows, one of them row ' || s.id as what
            from shared d
            join named n on n.task_id = d.task_id and n.origin = d.origin
            join vidbatch.submission s on s.id = n.submission_id`,
  },
  {
    name: 'unknown-kept',
    holds: 'a row stays uncertain until an answer or a person says what became of it',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'is ' || s.state || ' though nobody knows whether attempt ' || a.number || ' was accepted' as what
            from vidbatch.submission s
            join vidbatch.attempt a on a.submission_id = s.id
           where ${IN_SLICE} and ${UNKNOWN} and not s.doubtful
             and s.state not in ('uncertain', 'submitted', 'submitting')
             and not exists (select from vidbatch.trail t
                              where t.submission_id = s.id and starts_with(t.event, 'resolve')
                                and t.at >= a.claimed_at)`,
  },
  {
    name: 'unknown-not-resent',
    holds:
      'a row is sent again only when its last attempt is known not to have been accepted, or under the key of that one',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, n.id as attempt_id,
                 'was sent again as attempt ' || n.number || ' though nobody knows whether attempt ' || a.number
                 || ' was accepted' as what
            from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           cross join lateral (select id, number, claimed_at, same_key from vidbatch.attempt n
                                where n.submission_id = a.submission_id and n.number > a.number
                                  and not starts_with(n.worker, 'resolve by ')
                                order by n.number limit 1) n
           where ${IN_SLICE} and ${UNKNOWN} and not n.same_key
             and not exists (select from vidbatch.trail t
                              where t.submission_id = s.id and starts_with(t.event, 'resolve')
                                and t.at between a.claimed_at and n.claimed_at)`,
  },
  {
    name: 'doubt-has-reason',
    holds:
      'a row is in doubt because nobody knew, at least for a while, whether an attempt of it was accepted',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || ' and in doubt without a reason' as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.doubtful
             and (s.state not in ('pending', 'submitting', 'uncertain')
                  or not exists (select from vidbatch.attempt a
                                  where a.submission_id = s.id
                                    and not (s.state = 'submitting' and a.id = s.attempt_id)
                                    and (a.outcome is null or a.outcome = 'uncertain' or a.swept_at is not null)))`,
  },
  {
    name: 'orphan-adopted',
    holds: 'every attempt that a journal brought back has found its row',
    severity: 'risk',
    next: 'submit its manifest again: the row comes back as sent',
    over: 'whole',
    sql: `select b.id as batch_id, null::bigint as submission_id, o.attempt_id,
                 'attempt ' || o.number || ' of ' || o.batch || ' ' || o.row_key
                 || coalesce(', accepted as task ' || substring(o.outcome::text from '"taskId": *"([^"]+)"'), '') || ', has no row (' || o.attempt_id || ')' as what
            from vidbatch.orphan o left join vidbatch.batch b on b.name = o.batch`,
  },
];
