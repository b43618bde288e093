import { EXPLAIN, IN_SLICE } from './invariant.ts';
import type { Invariant } from './invariant.ts';

/** What is known of tasks fits what is known of rows; and what the provider says otherwise. */
export const POLL_INVARIANTS: readonly Invariant[] = [
  {
    name: 'task-of-row',
    holds: 'a task that is asked for is its row’s, or one of its surplus ones, or was made again',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || coalesce(' as task ' || s.task_id, '') || ', and task ' || t.task_id
                 || ' is asked for' as what
            from vidbatch.task t join vidbatch.submission s on s.id = t.submission_id
           where ${IN_SLICE}
             and case when t.surplus
                   then not exists (select from vidbatch.attempt a
                                     where a.submission_id = s.id and a.task_id = t.task_id and a.surplus)
                   else t.task_id is distinct from s.task_id
                        and not exists (select from vidbatch.attempt a
                                         where a.submission_id = s.id and a.task_id = t.task_id
                                           and a.remade_at is not null) end`,
  },
  {
    name: 'task-agrees',
    holds: 'a row shows the status of its task, and what was asked for once is remembered',
    severity: 'broken',
    next: 'vidbatch reconcile {batch} asks again',
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'shows ' || coalesce(s.provider_status, 'no status') || ', and its task is '
                 || coalesce(t.status, 'not known, though it was asked for') as what
            from vidbatch.submission s
            left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id
           where ${IN_SLICE} and s.state = 'submitted' and s.polled_at is not null
             and t.status is distinct from s.provider_status`,
  },
  {
    name: 'task-missing',
    holds: 'the provider knew every task when it was last asked',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill; vidbatch reconcile {batch} asks again",
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'task ' || t.task_id || ' was not known to the provider when it was last asked' as what
            from vidbatch.task t join vidbatch.submission s on s.id = t.submission_id
           where ${IN_SLICE} and t.status = 'missing'`,
  },
  {
    name: 'task-otherwise',
    holds: 'no task that had come to its end was called something else when it was last asked for',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill; vidbatch reconcile {batch} --ended asks again",
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'task ' || t.task_id || ' was ' || t.status || ', and the provider calls it ' || t.later_status as what
            from vidbatch.task t join vidbatch.submission s on s.id = t.submission_id
           where ${IN_SLICE} and t.later_status is not null`,
  },
];
