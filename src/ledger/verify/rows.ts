import {
  IN_SLICE,
  overAttempts,
  overCurrentAttempts,
  overLedger,
  overRows,
  RESOLVED,
  type Invariant,
} from './invariant.ts';

/** Rows and their attempts: each POST that may have been made counts once, and waits for its answer. */
export const ATTEMPT_INVARIANTS: readonly Invariant[] = [
  {
    name: 'attempt-of-row',
    holds: 'every attempt belongs to a row',
    severity: 'broken',
    next: 'restore the ledger from a backup; the journals of its workers then add what the backup lacks',
    over: 'slice',
    sql: `select null::bigint as batch_id, s.id as submission_id, s.attempt_id,
                 'belongs to row ' || s.id || ', which is not there' as what
            from (select a.submission_id as id, null::bigint as batch_id, a.id as attempt_id from vidbatch.attempt a
                   where not exists (select from vidbatch.row r where r.id = a.submission_id)) s
           where ${IN_SLICE}`,
  },
  overLedger({
    name: 'rows-counted',
    holds: 'the counters of a batch are those of its rows',
    severity: 'broken',
    next: 'copy the ledger with `vidbatch ledger copy`: the copy counts its rows again',
    from: `(select n.batch_id, n.state, sum(n.rows) as off
              from (select batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored, quarter, rows
                      from vidbatch.row_count
                    union all
                    select batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored, quarter, -1
                      from vidbatch.row_state) n
             group by n.batch_id, n.state, n.provider_status, n.error_code, n.model, n.price, n.currency, n.doubtful, n.stored, n.quarter
            having sum(n.rows) <> 0) d
      join vidbatch.batch b on b.id = d.batch_id`,
    batch: 'b.id',
    what: `'batch ' || b.name || ' counts ' || abs(d.off) || case when d.off > 0 then ' too many' else ' too few' end
      || ' of its rows that are ' || d.state`,
  }),
  overRows({
    name: 'call-timed',
    holds: 'a row has the time of its last call',
    severity: 'broken',
    where: 's.called_at is distinct from a.claimed_at',
    what: `'was last called at another time than its attempt says, so its cost counts on another day'`,
    from: 'vidbatch.row_state s join vidbatch.attempt a on a.id = s.attempt_id',
  }),
  overRows({
    name: 'video-stored',
    holds: 'a row is known to have its video in a folder when a download says so',
    severity: 'broken',
    where: `s.stored <> exists (select from vidbatch.download d
      where d.submission_id = s.id and d.task_id = s.task_id and d.state = 'downloaded')`,
    what: `case when s.stored then 'counts as downloaded, and no download says so'
      else 'is downloaded, and does not count as such' end`,
    from: 'vidbatch.row_state s',
  }),
  overRows({
    // There may be fewer attempts: a restored ledger can lack an attempt that was never sent.
    name: 'attempts-counted',
    holds: 'the number of attempts of a row is the number of its last attempt',
    severity: 'broken',
    next: 'vidbatch work on every machine that has worked on this ledger: a journal there may have the missing attempt',
    from: `vidbatch.submission s
      cross join lateral (select coalesce(max(a.number), 0) as latest
                            from vidbatch.attempt a where a.submission_id = s.id) n`,
    where: `s.attempts <> n.latest`,
    what: `'counts ' || s.attempts || ' attempts, and its last is number ' || n.latest`,
  }),
  overRows({
    // An attempt that was swept, then sent again under its key and answered as not sent, counts twice.
    name: 'attempts-spent',
    holds: 'a row has not more spent attempts or refusals than attempts',
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
    holds: 'a row that was tried names the attempt that decides it, and the attempt belongs to the row',
    severity: 'broken',
    attempt: 's.attempt_id',
    where: `case when s.attempt_id is null then s.attempts > 0
      else not exists (select from vidbatch.attempt a
                        where a.id = s.attempt_id and a.submission_id = s.id) end`,
    what: `case when s.attempt_id is null then 'was tried, and no attempt decides it'
      else 'is decided by an attempt of another row' end`,
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
    // A late task id can settle a row while a newer attempt is in flight. An uncertain row or a row in doubt says itself
    // that an attempt may have been sent; rows of a restored ledger begin so.
    name: 'in-flight-watched',
    holds: 'an attempt is in flight only if the state of its row says so',
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
    holds: 'an uncertain row has an attempt whose outcome is not known',
    severity: 'broken',
    where: `s.state = 'uncertain' and s.attempts > 0
      and not exists (select from vidbatch.attempt a
                       where a.submission_id = s.id
                         and (a.outcome is null or a.outcome = 'uncertain'
                              -- In doubt when its batch was cancelled: an answer may have come meanwhile.
                              or (a.swept_at is not null and s.previous is not distinct from 'pending')))`,
    what: `'is uncertain, but the outcome of each of its attempts is known'`,
  }),
  overCurrentAttempts({
    name: 'ended-by-answer',
    holds: 'a row is rejected or exhausted only by an answer',
    severity: 'broken',
    where: `case s.state when 'rejected' then coalesce(a.outcome, '') not in ('rejected', 'halted')
      when 'exhausted' then coalesce(a.outcome, '') <> 'not-sent'
      else false end`,
    what: `'is ' || s.state || ', and attempt ' || a.number || coalesce(' was ' || a.outcome, ' has no answer')`,
  }),
  overRows({
    name: 'tried-is-counted',
    holds: 'a row whose state needs an attempt has one',
    severity: 'broken',
    where: `s.attempt_id is null and s.attempts = 0
      and s.state in ('submitting', 'uncertain', 'rejected', 'exhausted', 'abandoned')`,
    what: `'is ' || s.state || ' and was never tried'`,
  }),
];

export const STATE_INVARIANTS: readonly Invariant[] = [
  overRows({
    name: 'task-status',
    holds: 'only a submitted row has a task status, and vidbatch knows this status',
    severity: 'broken',
    where: `s.provider_status is not null
      and (s.state <> 'submitted'
           or s.provider_status not in ('queued', 'in_progress', 'completed', 'failed', 'unknown', 'missing'))`,
    what: `'is ' || s.state || ' and its task is ' || s.provider_status`,
  }),
  overRows({
    name: 'deadline-of-submitting',
    holds: 'a row has a deadline only while it is in flight',
    severity: 'broken',
    attempt: 's.attempt_id',
    where: `s.state <> 'submitting' and s.deadline is not null`,
    what: `'is ' || s.state || ' with a deadline'`,
  }),
  overRows({
    name: 'deadline-judged',
    holds: 'a sweeper has judged each row within one minute after its deadline',
    severity: 'risk',
    next: 'vidbatch work judges it: uncertain, unless a journal on that machine holds its answer',
    attempt: 's.attempt_id',
    where: `s.state = 'submitting' and s.deadline < now() - interval '1 minute'`,
    what: `'is in flight past its deadline: it may have been accepted'`,
  }),
  overRows({
    name: 'request-of-sendable',
    holds: 'a row that can be sent or was sent has its request',
    severity: 'broken',
    next: 'submit its manifest again, with this row corrected',
    where: `s.state not in ('invalid', 'cancelled') and s.request is null`,
    what: `'is ' || s.state || ' without a request'`,
  }),
  overRows({
    name: 'content-of-state',
    holds: 'a row and its state have the same content',
    severity: 'broken',
    from: `vidbatch.submission s join vidbatch.row_state one on one.id = s.id`,
    attempt: 's.attempt_id',
    where: `one.content_hash is distinct from s.content_hash`,
    what: `'has a state for other content than that of its request'`,
  }),
  overRows({
    name: 'key-of-content',
    holds: 'the key of a row without an id is the hash of its content',
    severity: 'risk',
    from: `vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id`,
    where: `b.key_scheme = 'h1' and s.content_hash is not null
      and not starts_with(s.row_key, 'h1:' || s.content_hash || '#')`,
    what: `'has another content than its key says: the same manifest would be paid again'`,
  }),
];

/** Tasks fit their rows, and the provider agrees. */
export const POLL_INVARIANTS: readonly Invariant[] = [
  overRows({
    name: 'task-of-row',
    holds: 'a polled task is the task of its row, a surplus task, or a task that was made again',
    severity: 'broken',
    from: `vidbatch.task t join vidbatch.submission s on s.id = t.submission_id`,
    where: `case when t.surplus
      then not exists (select from vidbatch.attempt a
                        where a.submission_id = s.id and a.task_id = t.task_id and a.surplus)
      else t.task_id is distinct from s.task_id
           and not exists (select from vidbatch.attempt a
                            where a.submission_id = s.id and a.task_id = t.task_id
                              and a.remade_at is not null) end`,
    what: `'is ' || s.state || coalesce(' as task ' || s.task_id, '') || ', and task ' || t.task_id
      || ' is polled'`,
  }),
  overRows({
    name: 'task-agrees',
    holds: 'a row shows the status of its task, and the task of a polled row is known',
    severity: 'broken',
    next: 'vidbatch reconcile {batch} polls it again',
    from: `vidbatch.submission s
      left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id`,
    where: `s.state = 'submitted' and s.polled_at is not null
      and t.status is distinct from s.provider_status`,
    what: `'shows ' || coalesce(s.provider_status, 'no status') || ', and its task is '
      || coalesce(t.status, 'not known, although it was polled')`,
  }),
  overRows({
    name: 'task-missing',
    holds: 'the provider knew every task at the last poll',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill; vidbatch reconcile {batch} polls it again",
    from: `vidbatch.task t join vidbatch.submission s on s.id = t.submission_id`,
    where: `t.status = 'missing'`,
    what: `'task ' || t.task_id || ' was not known to the provider at the last poll'`,
  }),
  overRows({
    name: 'task-otherwise',
    holds: 'the provider has not changed the final status of a task',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill; vidbatch reconcile {batch} --ended polls it again",
    from: `vidbatch.task t join vidbatch.submission s on s.id = t.submission_id`,
    where: `t.later_status is not null`,
    what: `'task ' || t.task_id || ' was ' || t.status || ', and the provider calls it ' || t.later_status`,
  }),
];
