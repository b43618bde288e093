import { overRows } from './invariant.ts';
import type { Invariant } from './invariant.ts';

/** What a row says of itself, beyond what the CHECKs of the schema hold. */
export const STATE_INVARIANTS: readonly Invariant[] = [
  overRows({
    name: 'task-status',
    holds: "only a submitted row has a status of the provider's, and it is one that we know",
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
    holds: 'whatever is past its deadline by a minute has been judged by a sweeper',
    severity: 'risk',
    next: 'vidbatch work judges it: uncertain, unless a journal on that machine holds its answer',
    attempt: 's.attempt_id',
    where: `s.state = 'submitting' and s.deadline < now() - interval '1 minute'`,
    what: `'is in flight past its deadline: it may have been accepted'`,
  }),
  overRows({
    name: 'request-of-sendable',
    holds: 'a row that can be sent, or was, has its request',
    severity: 'broken',
    next: 'submit its manifest again, with this row corrected',
    where: `s.state not in ('invalid', 'cancelled') and s.request is null`,
    what: `'is ' || s.state || ' without a request'`,
  }),
  overRows({
    name: 'content-of-state',
    holds: 'the state of a row is about the content that the row has',
    severity: 'broken',
    from: `vidbatch.submission s join vidbatch.row_state one on one.id = s.id`,
    attempt: 's.attempt_id',
    where: `one.content_hash is distinct from s.content_hash`,
    what: `'has a state of other content than its request'`,
  }),
  overRows({
    name: 'key-of-content',
    holds: 'the key of a row without an id is the hash of what it asks for',
    severity: 'risk',
    from: `vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id`,
    where: `b.key_scheme = 'h1' and s.content_hash is not null
      and not starts_with(s.row_key, 'h1:' || s.content_hash || '#')`,
    what: `'asks for something else than its key says: the same manifest would be paid again'`,
  }),
];

/** What is known of tasks fits what is known of rows, and the provider agrees. */
export const POLL_INVARIANTS: readonly Invariant[] = [
  overRows({
    name: 'task-of-row',
    holds: 'a task that is asked for is its row’s, or one of its surplus ones, or was made again',
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
      || ' is asked for'`,
  }),
  overRows({
    name: 'task-agrees',
    holds: 'a row shows the status of its task, and what was asked for once is remembered',
    severity: 'broken',
    next: 'vidbatch reconcile {batch} asks again',
    from: `vidbatch.submission s
      left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id`,
    where: `s.state = 'submitted' and s.polled_at is not null
      and t.status is distinct from s.provider_status`,
    what: `'shows ' || coalesce(s.provider_status, 'no status') || ', and its task is '
      || coalesce(t.status, 'not known, though it was asked for')`,
  }),
  overRows({
    name: 'task-missing',
    holds: 'the provider knew every task when it was last asked',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill; vidbatch reconcile {batch} asks again",
    from: `vidbatch.task t join vidbatch.submission s on s.id = t.submission_id`,
    where: `t.status = 'missing'`,
    what: `'task ' || t.task_id || ' was not known to the provider when it was last asked'`,
  }),
  overRows({
    name: 'task-otherwise',
    holds: 'no task that had come to its end was called something else when it was last asked for',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill; vidbatch reconcile {batch} --ended asks again",
    from: `vidbatch.task t join vidbatch.submission s on s.id = t.submission_id`,
    where: `t.later_status is not null`,
    what: `'task ' || t.task_id || ' was ' || t.status || ', and the provider calls it ' || t.later_status`,
  }),
];
