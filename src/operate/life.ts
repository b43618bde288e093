import type { AttemptView, TrailView } from '../ledger/read/row-history.ts';
import type { Reached } from '../ledger/read/uncertain.ts';
import type { TaskView } from '../ledger/tasks/tasks.ts';
import { expiryOf } from '../core/task.ts';

/** What each phase of an exchange means, if it ended there. */
export const REACHED: Record<Exclude<Reached, 'none'>, string> = {
  connecting: 'the request had not begun',
  sending: 'the request was being written when it broke',
  sent: 'the whole request was sent, and no answer began',
  answering: "the answer's head arrived, and its body broke off",
  answered: 'a whole answer arrived',
};

/** The worker name of an attempt that `resolve --task-id` made begins so. */
const BY_A_PERSON = 'resolve by ';

/** `not-sent after 0.3 s`, `in flight`: how an attempt ended, if that is known. */
export function endOf({ worker, outcome, claimedAt, finishedAt, sweptAt }: AttemptView): string {
  if (worker.startsWith(BY_A_PERSON))
    return `no call: a person found its task, ${worker.slice(BY_A_PERSON.length)}`;
  const took =
    finishedAt === null ? '' : ` after ${((finishedAt.getTime() - claimedAt.getTime()) / 1000).toFixed(1)} s`;
  return `${outcome ?? (sweptAt === null ? 'in flight' : 'no answer recorded')}${took}`;
}

/** When it was last heard of. */
export function timeOf({ claimedAt, finishedAt, sweptAt }: AttemptView): Date {
  return finishedAt ?? sweptAt ?? claimedAt;
}

/** What is known of an attempt, the most important first. */
export function findingsOf(attempt: AttemptView): string[] {
  return [
    attempt.httpStatus === null ? undefined : `HTTP ${attempt.httpStatus}`,
    attempt.errorCode ?? undefined,
    attempt.error ?? undefined,
    Object.entries(REACHED).find(([phase]) => phase === attempt.phase)?.[1],
    attempt.requestId === null ? undefined : `request id ${attempt.requestId}`,
    attempt.taskId === null
      ? undefined
      : `task ${attempt.taskId}${attempt.surplus ? ' (SURPLUS: paid twice)' : ''}${attempt.remadeAt === null ? '' : ' (failed, and made again on purpose)'}`,
  ].filter((part) => part !== undefined);
}

/** `resolve --not-sent by anna@desk: not in their list` */
export function deedOf({ event, who, detail }: TrailView): string {
  return `${event}${who === null ? '' : ` by ${who}`}: ${shorten(detail, 300)}`;
}

/** Never cuts a surrogate pair in two. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

const BY = { answer: 'as the provider says', url: 'as the URL says', assumed: 'assumed' } as const;

/** `completed 100%`, with the provider's own word if it differs. */
export function formatStatus(task: Pick<TaskView, 'status' | 'rawStatus' | 'progress'>): string {
  const { status, rawStatus, progress } = task;
  const own = rawStatus !== null && rawStatus.toLowerCase() !== status ? ` ("${rawStatus}")` : '';
  return `${status}${own}${progress === null ? '' : ` ${progress}%`}`;
}

/** `its URL is good until 2026-11-26T10:00:00.000Z (assumed)` */
export function formatExpiry(task: TaskView): string | undefined {
  const expiry = expiryOf(task);
  return expiry && `its URL is good until ${expiry.at.toISOString()} (${BY[expiry.by]})`;
}

/** When a task was asked for, with what result, and when it is asked for again. */
export function formatPolls(task: TaskView): string {
  const last = task.askedAt === null ? '' : `, last at ${task.askedAt.toISOString()}`;
  const parts = [`asked ${task.polls === 1 ? 'once' : `${task.polls} times`}${last}`];
  if (task.misses > 0) parts.push(`not known to the provider ${task.misses} times in a row`);
  if (task.problem !== null) parts.push(`no answer: ${shorten(task.problem, 200)}`);
  parts.push(task.dueAt === null ? 'not asked again by itself' : `next at ${task.dueAt.toISOString()}`);
  return parts.join(' · ');
}

/** Says that the provider called the task something else after its end. */
export function formatLaterStatus(task: TaskView): string | undefined {
  return task.laterStatus === null
    ? undefined
    : `it was ${task.status}, and since ${task.laterAt?.toISOString() ?? 'then'} the provider calls it ${task.laterStatus}`;
}
