import type { TaskReport } from './outcome.ts';
import { throttleMs } from './retry-policy.ts';
import { formatDuration } from './units.ts';
import { isFinal, type TaskStatus } from './task-status.ts';

/** When a task is polled, in milliseconds. */
export interface PollPlan {
  /** From its acceptance to the first poll. */
  firstMs: number;
  leastMs: number;
  /** The wait before the next poll, as a share of the task's age. */
  share: number;
  mostMs: number;
  /** While the task waits in the provider's queue. */
  mostQueuedMs: number;
  /** While the provider says that there is no such task. */
  mostMissedMs: number;
  /** The task counts as missing after this many such answers in a row, over this time, at this age. */
  gone: { misses: number; missedMs: number; ageMs: number };
}

/** About 8 polls for a task of five minutes, and 18 for a task of two hours. Result URLs live for at least an hour. */
export const POLL_PLAN: PollPlan = {
  firstMs: 10_000,
  leastMs: 5_000,
  share: 0.5,
  mostMs: 10 * 60_000,
  mostQueuedMs: 30 * 60_000,
  mostMissedMs: 2 * 60_000,
  gone: { misses: 5, missedMs: 5 * 60_000, ageMs: 10 * 60_000 },
};

/**
 * Used while rows wait for a free place, so that it is filled soon. About 60 polls for a task of half a minute, and 110 for
 * a task of five minutes.
 */
export const HASTY_PLAN: PollPlan = {
  ...POLL_PLAN,
  firstMs: 250,
  leastMs: 250,
  share: 0.025,
  mostQueuedMs: POLL_PLAN.mostMs,
};

/** A task when its poll begins. */
export interface AskedTask {
  submissionId: number;
  taskId: string;
  /** The number of this poll, from 1. With the two ids it identifies the poll of an answer. */
  poll: number;
  status: TaskStatus;
  ageMs: number;
  misses: number;
  /** Since the first of these misses. */
  missedMs: number;
  /** Polls in a row without an answer about the task. */
  failures: number;
  laterStatus: string | null;
  /** Refused or failed polls in a row, for any task. */
  level: number;
}

export type PollVerdict =
  /** The provider reported a status. */
  | { kind: 'said'; report: Extract<TaskReport, { kind: 'task' }>; nextMs: number | null }
  /** The provider does not know the task: perhaps because it is new, or (`missing`) finally. */
  | { kind: 'missed'; body: string; missing: boolean; nextMs: number | null }
  /** The provider contradicts the final status that it reported before. */
  | { kind: 'otherwise'; status: TaskStatus; body: string; news: boolean }
  /** No answer about the task. `holdMs`: the pause of all polls. `heard`: the answer was not a 429. */
  | { kind: 'unanswered'; problem: string; heard: boolean; nextMs: number; holdMs: number };

/** Milliseconds until the next poll of an unfinished task. */
export function nextPollMs(
  task: Pick<AskedTask, 'ageMs' | 'status'> & { missed?: boolean },
  random: () => number,
  plan: PollPlan = POLL_PLAN,
): number {
  const usual = task.status === 'queued' ? plan.mostQueuedMs : plan.mostMs;
  const most = task.missed === true ? Math.min(usual, plan.mostMissedMs) : usual;
  const wait = Math.min(most, Math.max(plan.leastMs, task.ageMs * plan.share));
  // Spreads tasks that were accepted together.
  return Math.round(wait * (0.9 + 0.2 * random()));
}

/** Whether "no such task" is final. A new task may not be in the provider's list yet. */
export function isGone(
  task: Pick<AskedTask, 'misses' | 'missedMs' | 'ageMs'>,
  { gone }: PollPlan = POLL_PLAN,
): boolean {
  return task.misses >= gone.misses && task.missedMs >= gone.missedMs && task.ageMs >= gone.ageMs;
}

export function judgePoll(
  task: AskedTask,
  report: TaskReport,
  { random, plan = POLL_PLAN }: { random: () => number; plan?: PollPlan },
): PollVerdict {
  const final = isFinal(task.status);
  switch (report.kind) {
    case 'task': {
      if (final && report.status !== task.status) return otherwise(task, report.status, report.body);
      const over = isFinal(report.status);
      const nextMs = over ? null : nextPollMs({ ageMs: task.ageMs, status: report.status }, random, plan);
      return { kind: 'said', report, nextMs };
    }
    case 'missing': {
      if (final) return otherwise(task, 'missing', report.body);
      const missing = task.status === 'missing' || isGone({ ...task, misses: task.misses + 1 }, plan);
      const nextMs = missing ? null : nextPollMs({ ...task, missed: true }, random, plan);
      return { kind: 'missed', body: report.body, missing, nextMs };
    }
    case 'transient': {
      const again = Math.min(nextPollMs(task, random, plan), plan.leastMs * 2 ** Math.min(task.failures, 20));
      const holdMs = holdOf(task, report, random);
      const heard = report.trouble !== 'throttled';
      return { kind: 'unanswered', problem: report.message, heard, nextMs: Math.max(again, holdMs), holdMs };
    }
  }
}

/** The failed polls in a row that cause no pause. */
const TOLERATED_FAILURES = 4;
/** The same for refused polls: a gateway that is being replaced looks like a wrong URL for a moment. */
const TOLERATED_REFUSALS = 2;
/** A person needs minutes to correct a key or a URL. */
const REFUSED_MS = 60_000;

/** The pause of all polls: at once after a 429, and after several failures in a row. */
function holdOf(
  { level }: Pick<AskedTask, 'level'>,
  { trouble, afterMs }: Extract<TaskReport, { kind: 'transient' }>,
  random: () => number,
): number {
  if (trouble === 'throttled') return throttleMs({ level: level + 1, retryAfterMs: afterMs, random });
  if (trouble === 'refused') return level < TOLERATED_REFUSALS ? 0 : REFUSED_MS;
  if (afterMs === undefined && level < TOLERATED_FAILURES) return 0;
  return Math.max(afterMs ?? 0, throttleMs({ level: Math.max(1, level - TOLERATED_FAILURES), random }));
}

function otherwise(task: AskedTask, status: TaskStatus, body: string): PollVerdict {
  return { kind: 'otherwise', status, body, news: status !== task.laterStatus };
}

/** `asked 6 times in 12m 03s` */
export function formatMisses({ misses, missedMs }: Pick<AskedTask, 'misses' | 'missedMs'>): string {
  return `asked ${misses + 1} times in ${formatDuration(missedMs)}`;
}
