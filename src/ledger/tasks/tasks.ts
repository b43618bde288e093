import { noTaskCounts, type TaskCounts, type TaskStatus } from '../../core/task-status.ts';
import type { Queryable } from '../../database/database.ts';
import { readCount } from '../read/query.ts';
import { ORIGIN, UNSETTLED, type PollScope } from './poll.ts';

/** The task of row `s` has failed, as SQL. */
export const TASK_FAILED = `s.state = 'submitted' and s.provider_status = 'failed'`;
/** Why a task failed that says nothing about it, as SQL. The generated column `task.failure` has the same words. */
export const NO_REASON = `'the provider gave no reason'`;
/** Task `t` is the failed task of a row, and is not to be made again, as SQL. */
export const FAILED_TASK = `t.failure is not null
  and not exists (select from vidbatch.attempt a
                   where a.submission_id = t.submission_id and a.task_id = t.task_id and a.remade_at is not null)`;
/** Why the task of row `s` has failed, as SQL. */
export const FAIL_REASON = `coalesce(left(s.error, 200), 'no reason known')`;

/** A task as the provider last described it. */
export interface TaskView {
  taskId: string;
  origin: string;
  surplus: boolean;
  acceptedAt: Date;
  status: TaskStatus;
  /** The status in the provider's words. */
  rawStatus: string | null;
  body: string | null;
  progress: number | null;
  failReason: string | null;
  resultUrl: string | null;
  urlSeenAt: Date | null;
  urlExpiresAt: Date | null;
  urlExpiry: 'answer' | 'url' | 'profile' | null;
  /** When it was first seen in progress, and when it was first seen to have ended. */
  startedAt: Date | null;
  finishedAt: Date | null;
  polls: number;
  askedAt: Date | null;
  problem: string | null;
  misses: number;
  /** Another status that the provider gave after the task had ended. */
  laterStatus: TaskStatus | null;
  laterBody: string | null;
  laterAt: Date | null;
  /** Null: it is polled again only on demand. */
  dueAt: Date | null;
}

/** The task of a row, then its surplus tasks. Empty until a worker has polled them. */
export async function readTasks(db: Queryable, submissionId: number): Promise<TaskView[]> {
  const { rows } = await db.query<TaskView>(
    `select task_id as "taskId", origin, surplus, accepted_at as "acceptedAt", status, raw_status as "rawStatus", body,
            progress, fail_reason as "failReason", result_url as "resultUrl", url_seen_at as "urlSeenAt",
            url_expires_at as "urlExpiresAt", url_expiry as "urlExpiry", started_at as "startedAt",
            finished_at as "finishedAt", polls, asked_at as "askedAt", problem, misses, later_status as "laterStatus",
            later_body as "laterBody", later_at as "laterAt", due_at as "dueAt"
       from vidbatch.task where submission_id = $1 order by surplus, accepted_at`,
    [submissionId],
  );
  return rows;
}

/** Tasks of these batches; null: of all. Reads all their rows. */
export async function countTasks(db: Queryable, batches: readonly number[] | null): Promise<TaskCounts> {
  const { rows } = await db.query<{ status: string; n: number }>(
    `select coalesce(s.provider_status, 'queued') as status, count(*)::int as n
       from vidbatch.submission s
      where s.state = 'submitted' and ($1::bigint[] is null or s.batch_id = any($1)) group by 1
      union all
     select coalesce(t.status, 'queued'), count(*)::int
       from vidbatch.attempt a
       join vidbatch.submission s on s.id = a.submission_id
       left join vidbatch.task t on t.submission_id = a.submission_id and t.task_id = a.task_id
      where a.surplus and ($1::bigint[] is null or s.batch_id = any($1)) group by 1
      union all
     select 'otherwise', count(*)::int from vidbatch.task t
      where t.later_status is not null and ($1::bigint[] is null or t.batch_id = any($1))`,
    [batches],
  );
  const counts = noTaskCounts();
  for (const { status, n } of rows) counts[status as keyof TaskCounts] += n;
  return counts;
}

/** How many open tasks belong to other providers, which this provider's polls leave out. */
export async function countOpenElsewhere(
  db: Queryable,
  scope: PollScope,
): Promise<{ origin: string | null; tasks: number }[]> {
  const { rows } = await db.query<{ origin: string | null; tasks: number }>(
    `select origin, count(*)::int as tasks from (
       select ${ORIGIN} as origin
         from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
        where ${UNSETTLED} and ($2::bigint[] is null or s.batch_id = any($2))
     ) o where origin is distinct from $1 group by origin order by origin`,
    [scope.origin, scope.batches],
  );
  return rows;
}

/**
 * Makes tasks due now: tasks that the provider did not know, with `open` all open tasks, with `ended` all ended tasks.
 * Returns the database's time: each of them is due until it was polled after that.
 */
export async function askNow(
  db: Queryable,
  scope: PollScope,
  { open, ended }: { open: boolean; ended: boolean },
): Promise<string> {
  const { rows } = await db.query<{ since: string }>(
    `with due as (
       update vidbatch.task t set due_at = now()
        where t.origin = $1 and ($2::bigint[] is null or t.batch_id = any($2))
          and (t.lease_until is null or t.lease_until < now()) and coalesce(t.due_at > now(), true)
          and case t.status when 'missing' then true when 'completed' then $4 when 'failed' then $4 else $3 end
     )
     select now()::text as since`,
    [scope.origin, scope.batches, open, ended],
  );
  return rows[0]?.since ?? '';
}

/** How long before its expiry a URL expires soon. */
export const SOON = { sql: `interval '6 hours'`, words: 'six hours' } as const;

/** Completed videos that are not downloaded and whose URLs expire soon, with `batch_id` and `url_expires_at`, as SQL. */
export const DYING = `(
  select s.batch_id, t.url_expires_at
    from vidbatch.task t
    join vidbatch.row_state s on s.id = t.submission_id and s.task_id = t.task_id
   where t.url_expires_at between now() and now() + ${SOON.sql}
     and s.state = 'submitted' and s.provider_status = 'completed' and not s.stored)`;

export function countDying(db: Queryable): Promise<number> {
  return readCount(db, `select count(*)::int as n from ${DYING} t`);
}
