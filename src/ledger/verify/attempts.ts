import { EXPLAIN, IN_SLICE } from './invariant.ts';
import type { Invariant } from './invariant.ts';

/** A row and its attempts: each POST that may have been made is counted once, and somebody waits for its answer. */
export const ATTEMPT_INVARIANTS: readonly Invariant[] = [
  {
    name: 'attempt-of-row',
    holds: 'every attempt belongs to a row, and every row to a batch',
    severity: 'broken',
    next: 'restore the ledger from a copy; the journals of its workers bring back what came after it',
    over: 'slice',
    sql: `select null::bigint as batch_id, s.submission_id, s.attempt_id, s.what
            from (select a.submission_id as id, null::bigint as batch_id, a.submission_id, a.id as attempt_id,
                         'belongs to row ' || a.submission_id || ', which is not there' as what
                    from vidbatch.attempt a
                   where not exists (select from vidbatch.submission r where r.id = a.submission_id)
                  union all
                  select r.id, r.batch_id, r.id, null::uuid, 'belongs to batch ' || r.batch_id || ', which is not there'
                    from vidbatch.submission r
                   where not exists (select from vidbatch.batch b where b.id = r.batch_id)) s
           where ${IN_SLICE}`,
  },
  {
    name: 'attempt-whole',
    holds: 'an attempt has a task id when it was accepted, and an end when it has an outcome',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'attempt ' || a.number || ' has ' || coalesce('the outcome ' || a.outcome, 'no outcome')
                 || case when a.task_id is null then ', no task id' else ', task ' || a.task_id end
                 || case when a.finished_at is null then ' and no end' else ' and an end' end
                 || case when a.surplus then ', as surplus' else '' end as what
            from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           where ${IN_SLICE}
             and ((a.outcome is null) <> (a.finished_at is null)
                  or (a.task_id is not null) <> (a.outcome is not distinct from 'accepted')
                  or (a.surplus and a.outcome is distinct from 'accepted'))`,
  },
  {
    // Not how many there are: one that had never left may have been lost with a ledger that was restored, for good.
    name: 'attempts-counted',
    holds: 'a row counts its attempts up to the last',
    severity: 'broken',
    next: 'vidbatch work on every machine that has worked on this ledger: a journal there may know the missing one',
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'counts ' || s.attempts || ' attempts, and its last is number ' || n.latest as what
            from vidbatch.submission s
           cross join lateral (select coalesce(max(a.number), 0) as latest
                                 from vidbatch.attempt a where a.submission_id = s.id) n
           where ${IN_SLICE} and s.attempts <> n.latest`,
  },
  {
    // One that was swept, sent again under its key, and answered as not sent after all has cost two.
    name: 'attempts-spent',
    holds: 'a row has spent, and was refused, no more often than it was tried',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'was tried ' || s.attempts || ' times, has spent ' || s.spent || ' of them and was refused '
                 || s.refusals || ' times' as what
            from vidbatch.submission s
           where ${IN_SLICE}
             and (s.spent not between 0 and s.attempts + (select count(*) from vidbatch.attempt a
                                                           where a.submission_id = s.id and a.swept_at is not null)
                  or s.refusals not between 0 and s.attempts)`,
  },
  {
    name: 'attempt-number-once',
    holds: 'the attempts of a row are numbered, each number once',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'attempt ' || a.number || ' was claimed twice: the ledger had lost one of them, and both may be paid' as what
            from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           where ${IN_SLICE}
             and exists (select from vidbatch.attempt o
                          where o.submission_id = a.submission_id and o.number = a.number and o.id < a.id)`,
  },
  {
    name: 'attempt-current',
    holds: 'a row that was tried names the attempt that decides it, and that is one of its own',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, s.attempt_id,
                 case when s.attempt_id is null then 'was tried, and no attempt decides it'
                      else 'is decided by an attempt that is not its own' end as what
            from vidbatch.submission s
           where ${IN_SLICE}
             and case when s.attempt_id is null then s.attempts > 0
                      else not exists (select from vidbatch.attempt a
                                        where a.id = s.attempt_id and a.submission_id = s.id) end`,
  },
  {
    name: 'submitting-in-flight',
    holds: 'a row in flight has an attempt that nobody has answered or judged',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'is in flight, and attempt ' || a.number
                 || case when a.outcome is null then ' was judged' else ' was ' || a.outcome end as what
            from vidbatch.submission s
            join vidbatch.attempt a on a.id = s.attempt_id and a.submission_id = s.id
           where ${IN_SLICE} and s.state = 'submitting' and (a.outcome is not null or a.swept_at is not null)`,
  },
  {
    // A late task id settles a row while a newer attempt is in flight: that one is let come to its end. A row that is
    // uncertain or in doubt says of itself that somebody may have been sending; that is how restored ones begin.
    name: 'in-flight-watched',
    holds: 'no attempt is in flight beside the state of its row',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'is ' || s.state || ', and nobody has judged attempt ' || a.number || ': it may have been accepted' as what
            from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           where ${IN_SLICE} and a.outcome is null and a.swept_at is null
             and not (s.state = 'submitting' and s.attempt_id is not distinct from a.id)
             and s.state <> 'uncertain' and not s.doubtful
             and (s.state <> 'submitted' or a.deadline < now() - interval '1 minute')
             and not exists (select from vidbatch.trail t
                              where t.submission_id = s.id and starts_with(t.event, 'resolve')
                                and t.at >= a.claimed_at)`,
  },
  {
    name: 'uncertain-unknown',
    holds: 'a row is uncertain because nobody knows how an attempt of it ended',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is uncertain, and how each of its attempts ended is known' as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.state = 'uncertain' and s.attempts > 0
             and not exists (select from vidbatch.attempt a
                              where a.submission_id = s.id
                                and (a.outcome is null or a.outcome = 'uncertain'
                                     -- In doubt when its batch was cancelled: an answer may have come meanwhile.
                                     or (a.swept_at is not null and s.previous is not distinct from 'pending')))`,
  },
  {
    name: 'ended-by-answer',
    holds: 'a row is rejected or exhausted because an answer said so',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 'is ' || s.state || ', and attempt ' || a.number || coalesce(' was ' || a.outcome, ' has no answer') as what
            from vidbatch.submission s
            join vidbatch.attempt a on a.id = s.attempt_id and a.submission_id = s.id
           where ${IN_SLICE}
             and case s.state when 'rejected' then coalesce(a.outcome, '') not in ('rejected', 'halted')
                              when 'exhausted' then coalesce(a.outcome, '') <> 'not-sent'
                              else false end`,
  },
  {
    name: 'tried-is-counted',
    holds: 'a row that came to an end by sending was sent',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || ' and was never tried' as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.attempt_id is null and s.attempts = 0
             and s.state in ('submitting', 'uncertain', 'rejected', 'exhausted', 'abandoned')`,
  },
];
