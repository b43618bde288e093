import { formatMisses, type PollVerdict } from '../../core/poll-plan.ts';
import { parseAmount } from '../../core/money/money.ts';
import { isFinal } from '../../core/task-status.ts';
import type { Queryable } from '../../database/database.ts';
import type { TakenTask } from './poll.ts';
import { TASK_BACK } from '../operator/retry-failed-tasks.ts';
import { NO_REASON } from './tasks.ts';

/** A taken task, and the provider's answer or its absence. */
export interface Polled {
  task: TakenTask;
  verdict: PollVerdict;
}

/**
 * Records polls in one statement: the task, its row, and until when this provider is not polled. A poll whose lease has ended
 * changes nothing, because another worker may have polled since. Returns for each poll whether it was recorded.
 */
export async function recordPolls(
  db: Queryable,
  origin: string,
  polls: readonly Polled[],
): Promise<boolean[]> {
  const { rows } = await db.query<Pick<TakenTask, 'submissionId' | 'taskId'>>(
    `with heard as (
       select * from jsonb_to_recordset($1::jsonb) as r(
         submission_id bigint, task_id text, poll int, kind text, status text, raw_status text, body text, progress int,
         fail_reason text, result_url text, url_expires_at float8, url_expiry text, cost numeric, cost_unit text,
         problem text, heard boolean, next_ms float8, news text, detail text)
     ), recorded as (
       update vidbatch.task t
          set status = coalesce(r.status, t.status),
              raw_status = case when r.kind = 'said' then r.raw_status else t.raw_status end,
              body = case when r.kind in ('said', 'missed') then r.body else t.body end,
              progress = coalesce(r.progress, t.progress),
              fail_reason = case when r.kind = 'said' then r.fail_reason else t.fail_reason end,
              result_url = coalesce(r.result_url, t.result_url),
              url_seen_at = case when r.result_url is distinct from t.result_url and r.result_url is not null
                then now() else t.url_seen_at end,
              -- By the profile, the life of a URL begins when it is first seen.
              url_expires_at = case
                when r.result_url is null then t.url_expires_at
                when r.result_url = t.result_url and t.url_expiry = 'profile' and r.url_expiry = 'profile'
                  then t.url_expires_at
                else to_timestamp(r.url_expires_at / 1000) end,
              url_expiry = case when r.result_url is null then t.url_expiry else r.url_expiry end,
              cost = coalesce(r.cost, t.cost), cost_unit = case when r.cost is null then t.cost_unit else r.cost_unit end,
              started_at = case when r.status = 'in_progress' then coalesce(t.started_at, now()) else t.started_at end,
              finished_at = case when r.status in ('completed', 'failed') then coalesce(t.finished_at, now())
                else t.finished_at end,
              asked_at = case when r.heard then now() else t.asked_at end,
              answered_at = case when r.kind = 'unanswered' then t.answered_at else now() end,
              failures = case when r.kind = 'unanswered' then t.failures + 1 else 0 end,
              problem = r.problem,
              misses = case r.kind when 'missed' then t.misses + 1 when 'unanswered' then t.misses else 0 end,
              missed_since = case r.kind when 'missed' then coalesce(t.missed_since, now())
                when 'unanswered' then t.missed_since end,
              later_status = case r.kind when 'otherwise' then r.raw_status when 'said' then null else t.later_status end,
              later_body = case r.kind when 'otherwise' then r.body when 'said' then null else t.later_body end,
              later_at = case r.kind when 'otherwise' then coalesce(case when r.news is null then t.later_at end, now())
                when 'said' then null else t.later_at end,
              due_at = now() + r.next_ms * interval '1 millisecond',
              asker = null, lease_until = null
         from heard r
        where t.submission_id = r.submission_id and t.task_id = r.task_id
          and t.polls = r.poll and t.lease_until is not null
       returning t.submission_id, t.task_id, t.batch_id, t.surplus, t.status, t.result_url, t.fail_reason, r.news, r.detail,
                 t.accepted_at, r.kind = 'otherwise' and r.raw_status in ('queued', 'in_progress', 'completed') as lives
     ), shown as (
       update vidbatch.row_state s
          set provider_status = k.status, result_url = k.result_url, polled_at = coalesce(s.polled_at, now()),
              error_code = case k.status when 'failed' then 'TASK_FAILED' when 'missing' then 'TASK_MISSING' end,
              error = case k.status when 'failed' then coalesce(k.fail_reason, ${NO_REASON})
                when 'missing' then case when s.provider_status = 'missing' then s.error else k.detail end end
         from recorded k
        where s.id = k.submission_id and s.task_id = k.task_id and not k.surplus and s.state = 'submitted'
          -- Most answers change nothing, so most rows are not written.
          and (s.polled_at is null or s.provider_status is distinct from k.status
               or s.result_url is distinct from k.result_url)
     ), ${TASK_BACK}, told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, detail)
       select k.batch_id, k.submission_id, k.news, k.detail from recorded k where k.news is not null
     ), eased as (
       update vidbatch.poller p
          set level = case when $3::boolean then 0 when p.held_until <= now() then p.level + 1 else p.level end,
              held_until = greatest(p.held_until, now() + $4::float8 * interval '1 millisecond'),
              reason = case when $4::float8 > 0 then $5 when $3::boolean then null else p.reason end
        where p.origin = $2 and (($3::boolean and (p.level > 0 or $4::float8 > 0)) or not $3::boolean)
     )
     select submission_id as "submissionId", task_id as "taskId" from recorded`,
    [JSON.stringify(polls.map(toRow)), origin, ...troubleOf(polls)],
  );
  const nameOf = (task: Pick<TakenTask, 'submissionId' | 'taskId'>): string =>
    `${task.submissionId} ${task.taskId}`;
  const recorded = new Set(rows.map(nameOf));
  return polls.map(({ task }) => recorded.has(nameOf(task)));
}

/** Whether any poll was answered, for how long the provider is not polled, and why. */
function troubleOf(polls: readonly Polled[]): [answered: boolean, holdMs: number, reason: string | null] {
  let [holdMs, reason]: [number, string | null] = [0, null];
  for (const { verdict } of polls) {
    if (verdict.kind === 'unanswered' && verdict.holdMs > holdMs)
      [holdMs, reason] = [verdict.holdMs, verdict.problem];
  }
  return [polls.some(({ verdict }) => verdict.kind !== 'unanswered'), holdMs, reason];
}

/** A cost that is no number is no cost: it must not fail the record of the answer. */
function costOf({ cost }: { cost?: { amount: string; unit: string } }): {
  cost?: string;
  cost_unit?: string;
} {
  if (cost === undefined || parseAmount(cost.amount) === undefined) return {};
  return { cost: cost.amount, cost_unit: cost.unit };
}

function toRow({ task, verdict }: Polled): Record<string, unknown> {
  const { submissionId, taskId, poll } = task;
  const row = { submission_id: submissionId, task_id: taskId, poll, kind: verdict.kind, heard: true };
  switch (verdict.kind) {
    case 'said': {
      const { report } = verdict;
      return {
        ...row,
        status: report.status,
        raw_status: report.rawStatus,
        body: report.body,
        progress: report.progress,
        fail_reason: report.failReason,
        result_url: report.resultUrl,
        url_expires_at: report.urlExpiry?.at,
        url_expiry: report.urlExpiry?.by,
        ...costOf(report),
        next_ms: verdict.nextMs,
        ...(task.status === 'missing'
          ? { news: 'task-found', detail: `task ${taskId} is ${report.status}: the provider knows it again` }
          : {}),
        ...(isFinal(task.status) && task.laterStatus !== null
          ? { news: 'task-agrees', detail: `task ${taskId} is ${report.status} again` }
          : {}),
      };
    }
    case 'missed': {
      if (!verdict.missing) return { ...row, body: verdict.body, next_ms: verdict.nextMs };
      const detail = `the provider does not know task ${taskId}: ${formatMisses(task)}`;
      const news = task.status === 'missing' ? {} : { news: 'task-missing' };
      return { ...row, status: 'missing', body: verdict.body, detail, ...news };
    }
    case 'otherwise': {
      const detail = `task ${taskId} was ${task.status}, and the provider calls it ${verdict.status} now`;
      const news = verdict.news ? { news: 'task-otherwise', detail } : {};
      return { ...row, raw_status: verdict.status, body: verdict.body, ...news };
    }
    case 'unanswered':
      return { ...row, heard: verdict.heard, problem: verdict.problem, next_ms: verdict.nextMs };
  }
}
