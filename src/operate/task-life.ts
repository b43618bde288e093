import type { TaskView } from '../ledger/tasks/task.ts';
import { shorten } from './life.ts';
import { expiryOf } from '../core/task.ts';

const BY = { answer: 'as the provider says', url: 'as the URL says', assumed: 'assumed' } as const;

/** `completed 100%`, and the provider's own word where it is another. */
export function statusTold(task: Pick<TaskView, 'status' | 'rawStatus' | 'progress'>): string {
  const { status, rawStatus, progress } = task;
  const own = rawStatus !== null && rawStatus.toLowerCase() !== status ? ` ("${rawStatus}")` : '';
  return `${status}${own}${progress === null ? '' : ` ${progress}%`}`;
}

/** `its URL is good until 2026-11-26T10:00:00.000Z (assumed)` */
export function expiryTold(task: TaskView): string | undefined {
  const expiry = expiryOf(task);
  return expiry && `its URL is good until ${expiry.at.toISOString()} (${BY[expiry.by]})`;
}

/** When it was asked for, what came of it, and when it will be. */
export function pollsTold(task: TaskView): string {
  const last = task.askedAt === null ? '' : `, last at ${task.askedAt.toISOString()}`;
  const parts = [`asked ${task.polls === 1 ? 'once' : `${task.polls} times`}${last}`];
  if (task.misses > 0) parts.push(`not known to the provider ${task.misses} times in a row`);
  if (task.problem !== null) parts.push(`no answer: ${shorten(task.problem, 200)}`);
  parts.push(task.dueAt === null ? 'not asked again by itself' : `next at ${task.dueAt.toISOString()}`);
  return parts.join(' · ');
}

/** That the provider changed its mind. */
export function laterTold(task: TaskView): string | undefined {
  return task.laterStatus === null
    ? undefined
    : `it was ${task.status}, and since ${task.laterAt?.toISOString() ?? 'then'} the provider calls it ${task.laterStatus}`;
}
