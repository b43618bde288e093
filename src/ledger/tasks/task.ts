import type { TaskCounts, TaskStatus } from '../../core/task.ts';
import type { Queryable } from '../../database/database.ts';
import { UNSETTLED } from './poll.ts';
import type { PollScope } from './poll.ts';

/** A task as its provider has told of it. */
export interface TaskView {
  taskId: string;
  origin: string;
  surplus: boolean;
  acceptedAt: Date;
  status: TaskStatus;
  /** As the provider wrote it. */
  rawStatus: string | null;
  /** Its last answer about the task. */
  body: string | null;
  progress: number | null;
  failReason: string | null;
  resultUrl: string | null;
  urlSeenAt: Date | null;
  urlExpiresAt: Date | null;
  urlExpiry: 'answer' | 'url' | null;
  /** First seen in progress, and at its end. */
  startedAt: Date | null;
  finishedAt: Date | null;
  polls: number;
  askedAt: Date | null;
  /** Of the last poll, when it brought no answer about the task. */
  problem: string | null;
  misses: number;
  /** What the provider says after the task had come to its end, when it says otherwise. */
  laterStatus: TaskStatus | null;
  laterBody: string | null;
  laterAt: Date | null;
  /** Null: it is asked for again only on demand. */
  dueAt: Date | null;
}

/** Of a row: its own task, then surplus ones. Empty as long as nobody has asked. */
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

/** Tasks of these batches; null: of all. A pass over their rows. */
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
  const counts: TaskCounts = {
    queued: 0,
    in_progress: 0,
    unknown: 0,
    completed: 0,
    failed: 0,
    missing: 0,
    otherwise: 0,
  };
  for (const { status, n } of rows) counts[status as keyof TaskCounts] += n;
  return counts;
}

/** Where else open tasks belong, with how many: whoever asks this provider knows nothing of them. */
export async function openElsewhere(
  db: Queryable,
  scope: PollScope,
): Promise<{ origin: string | null; tasks: number }[]> {
  const { rows } = await db.query<{ origin: string | null; tasks: number }>(
    `select origin, count(*)::int as tasks from (
       select coalesce((select a.origin from vidbatch.attempt a
                         where a.submission_id = s.id and a.task_id = s.task_id limit 1), b.origin) as origin
         from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
        where ${UNSETTLED} and ($2::bigint[] is null or s.batch_id = any($2))
     ) o where origin is distinct from $1 group by origin order by origin`,
    [scope.origin, scope.batches],
  );
  return rows;
}

/**
 * Makes tasks due that are not, for whoever asks: those that the provider did not know; `open`: all that are not over;
 * `ended`: those that are. Returns the database's time, after which each is to be asked for once.
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
