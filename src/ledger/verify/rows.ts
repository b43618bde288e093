import { IN_SLICE, overAttempts, overCurrentAttempts, overRows, RESOLVED } from './invariant.ts';
import type { Invariant } from './invariant.ts';

/** A row and its attempts: each POST that may have been made is counted once, and its answer is waited for. */
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
  overRows({
    // The number of attempts may be smaller: one that was never sent may be lost for good with a ledger that was restored.
    name: 'attempts-counted',
    holds: 'a row counts its attempts up to the last',
    severity: 'broken',
    next: 'vidbatch work on every machine that has worked on this ledger: a journal there may know the missing one',
    from: `vidbatch.submission s
      cross join lateral (select coalesce(max(a.number), 0) as latest
                            from vidbatch.attempt a where a.submission_id = s.id) n`,
    where: `s.attempts <> n.latest`,
    what: `'counts ' || s.attempts || ' attempts, and its last is number ' || n.latest`,
  }),
  overRows({
    // An attempt that was swept, sent again under its key, and then answered as not sent counts twice.
    name: 'attempts-spent',
    holds: 'a row has spent, and was refused, no more often than it was tried',
    severity: 'broken',
    where: `s.refusals not between 0 and s.attempts
      or s.spent not between 0 and s.attempts + (select count(*) from vidbatch.attempt a
                                                  where a.submission_id = s.id and a.swept_at is not null)`,
    what: `'was tried ' || s.attempts || ' times, has spent ' || s.spent || ' of them and was refused '
      || s.refusals || ' times'`,
  }),
  overAttempts({
    name: 'attempt-number-once',
    holds: 'the attempts of a row are numbered, each number once',
    severity: 'risk',
    where: `exists (select from vidbatch.attempt o
                     where o.submission_id = a.submission_id and o.number = a.number and o.id < a.id)`,
    what: `'attempt ' || a.number || ' was claimed twice: the ledger had lost one of them, and both may be paid'`,
  }),
  overRows({
    name: 'attempt-current',
    holds: 'a row that was tried names the attempt that decides it, and that is one of its own',
    severity: 'broken',
    attempt: 's.attempt_id',
    where: `case when s.attempt_id is null then s.attempts > 0
      else not exists (select from vidbatch.attempt a
                        where a.id = s.attempt_id and a.submission_id = s.id) end`,
    what: `case when s.attempt_id is null then 'was tried, and no attempt decides it'
      else 'is decided by an attempt that is not its own' end`,
  }),
  overCurrentAttempts({
    name: 'submitting-in-flight',
    holds: 'a row in flight has an attempt without an answer, and no sweeper has judged it',
    severity: 'broken',
    where: `s.state = 'submitting' and (a.outcome is not null or a.swept_at is not null)`,
    what: `'is in flight, and attempt ' || a.number
      || case when a.outcome is null then ' was judged' else ' was ' || a.outcome end`,
  }),
  overAttempts({
    // A late task id settles a row while a newer attempt is in flight: that attempt may still end. A row that is uncertain
    // or in doubt says itself that an attempt may have been sent; rows of a restored ledger begin so.
    name: 'in-flight-watched',
    holds: 'no attempt is in flight beside the state of its row',
    severity: 'risk',
    where: `a.outcome is null and a.swept_at is null
      and not (s.state = 'submitting' and s.attempt_id is not distinct from a.id)
      and s.state <> 'uncertain' and not s.doubtful
      and (s.state <> 'submitted' or a.deadline < now() - interval '1 minute')
      and not ${RESOLVED}`,
    what: `'is ' || s.state || ', and no sweeper has judged attempt ' || a.number || ': it may have been accepted'`,
  }),
  overRows({
    name: 'uncertain-unknown',
    holds: 'a row is uncertain because it is not known how an attempt of it ended',
    severity: 'broken',
    where: `s.state = 'uncertain' and s.attempts > 0
      and not exists (select from vidbatch.attempt a
                       where a.submission_id = s.id
                         and (a.outcome is null or a.outcome = 'uncertain'
                              -- In doubt when its batch was cancelled: an answer may have come meanwhile.
                              or (a.swept_at is not null and s.previous is not distinct from 'pending')))`,
    what: `'is uncertain, and how each of its attempts ended is known'`,
  }),
  overCurrentAttempts({
    name: 'ended-by-answer',
    holds: 'a row is rejected or exhausted because an answer said so',
    severity: 'broken',
    where: `case s.state when 'rejected' then coalesce(a.outcome, '') not in ('rejected', 'halted')
      when 'exhausted' then coalesce(a.outcome, '') <> 'not-sent'
      else false end`,
    what: `'is ' || s.state || ', and attempt ' || a.number || coalesce(' was ' || a.outcome, ' has no answer')`,
  }),
  overRows({
    name: 'tried-is-counted',
    holds: 'a row that came to an end by sending was sent',
    severity: 'broken',
    where: `s.attempt_id is null and s.attempts = 0
      and s.state in ('submitting', 'uncertain', 'rejected', 'exhausted', 'abandoned')`,
    what: `'is ' || s.state || ' and was never tried'`,
  }),
];
