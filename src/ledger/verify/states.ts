import { TRANSITIONS } from '../../core/submission.ts';
import type { State } from '../../core/submission.ts';
import { EXPLAIN, IN_SLICE } from './invariant.ts';
import type { Invariant } from './invariant.ts';

function list(states: readonly State[]): string {
  return states.map((state) => `'${state}'`).join(', ');
}

const MOVES = TRANSITIONS.map(({ from, to }) => `('${from}', '${to}')`).join(', ');
const FIRST = list(['pending', 'invalid']);

/** What one row says of itself. The CHECKs of the schema say it too, as long as they are there and were never off. */
export const STATE_INVARIANTS: readonly Invariant[] = [
  {
    name: 'state-move',
    holds: "a row's state and the one before it are a move of the table of transitions",
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'went from ' || coalesce(s.previous, 'nothing') || ' to ' || s.state as what
            from vidbatch.submission s
           where ${IN_SLICE}
             and case when s.previous is null then s.state not in (${FIRST})
                      else (s.previous, s.state) not in (${MOVES}) end`,
  },
  {
    name: 'task-id-of-submitted',
    holds: 'a row has a task id exactly when it is submitted',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || ' and has ' || coalesce('task ' || s.task_id, 'no task id') as what
            from vidbatch.submission s
           where ${IN_SLICE} and (s.state = 'submitted') <> (s.task_id is not null)`,
  },
  {
    name: 'task-status',
    holds: "only a submitted row has a status of the provider's, and it is one that we know",
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || ' and its task is ' || s.provider_status as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.provider_status is not null
             and (s.state <> 'submitted'
                  or s.provider_status not in ('queued', 'in_progress', 'completed', 'failed', 'unknown', 'missing'))`,
  },
  {
    name: 'deadline-of-submitting',
    holds: 'a row has a deadline exactly while it is in flight',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, s.attempt_id,
                 'is ' || s.state || case when s.deadline is null then ' without a deadline' else ' with a deadline' end as what
            from vidbatch.submission s
           where ${IN_SLICE} and (s.state = 'submitting') <> (s.deadline is not null)`,
  },
  {
    name: 'deadline-judged',
    holds: 'whatever is past its deadline by a minute has been judged by a sweeper',
    severity: 'risk',
    next: 'vidbatch work judges it: uncertain, unless a journal on that machine holds its answer',
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, s.attempt_id,
                 'is in flight past its deadline: it may have been accepted' as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.state = 'submitting' and s.deadline < now() - interval '1 minute'`,
  },
  {
    name: 'lane-of-waiting',
    holds: 'only a row that waits or is in flight is in a lane of the queue',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || ' and in the lane ' || s.lane as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.lane is not null and s.state not in ('pending', 'submitting')`,
  },
  {
    name: 'request-of-sendable',
    holds: 'a row that can be sent, or was, has its request and the hash of it',
    severity: 'broken',
    next: 'submit its manifest again, with this row corrected',
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is ' || s.state || ' without ' || case when s.request is null then 'a request' else 'a hash' end as what
            from vidbatch.submission s
           where ${IN_SLICE} and s.state not in ('invalid', 'cancelled')
             and (s.request is null or s.content_hash is null)`,
  },
  {
    name: 'key-of-content',
    holds: 'the key of a row without an id is the hash of what it asks for',
    severity: 'risk',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'asks for something else than its key says: the same manifest would be paid again' as what
            from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
           where ${IN_SLICE} and b.key_scheme = 'h1' and s.content_hash is not null
             and not starts_with(s.row_key, 'h1:' || s.content_hash || '#')`,
  },
  {
    name: 'row-key-once',
    holds: 'a key names one row of its batch',
    severity: 'risk',
    next: EXPLAIN,
    over: 'whole',
    sql: `select d.batch_id, d.submission_id, null::uuid as attempt_id,
                 'key ' || d.row_key || ' of batch ' || d.batch_id || ' names ' || d.n || ' rows' as what
            from (select batch_id, row_key, min(id) as submission_id, count(*) as n
                    from vidbatch.submission group by batch_id, row_key having count(*) > 1) d`,
  },
];
