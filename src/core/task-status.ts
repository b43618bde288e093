import type { TaskReport } from './outcome.ts';

/** `missing`: the provider repeatedly does not know the task. */
export type TaskStatus = Extract<TaskReport, { kind: 'task' }>['status'] | 'missing';

/** The poller does not ask again. The indexes of the schema have the same words. */
const SETTLED_STATUSES = ['completed', 'failed', 'missing'] as const satisfies TaskStatus[];

export function isSettled(status: string | null): boolean {
  return status !== null && (SETTLED_STATUSES as readonly string[]).includes(status);
}

export function isFinal(status: TaskStatus): boolean {
  return status === 'completed' || status === 'failed';
}

/** The life of a URL without an expiry. Providers document a day. Some delete results after an hour. */
export const ASSUMED_LIFE_MS = 24 * 3_600_000;

/** When a result URL expires, and how that is known. */
interface UrlExpiry {
  at: Date;
  by: 'answer' | 'url' | 'profile' | 'assumed';
}

export function expiryOf(task: {
  urlSeenAt: Date | null;
  urlExpiresAt: Date | null;
  urlExpiry: 'answer' | 'url' | 'profile' | null;
}): UrlExpiry | undefined {
  if (task.urlExpiresAt !== null && task.urlExpiry !== null)
    return { at: task.urlExpiresAt, by: task.urlExpiry };
  return task.urlSeenAt === null
    ? undefined
    : { at: new Date(task.urlSeenAt.getTime() + ASSUMED_LIFE_MS), by: 'assumed' };
}

/** Tasks by status, surplus ones included. */
export interface TaskCounts {
  queued: number;
  in_progress: number;
  unknown: number;
  completed: number;
  failed: number;
  missing: number;
  /** The provider changed the final status that it had reported. */
  otherwise: number;
}

export function noTaskCounts(): TaskCounts {
  return { queued: 0, in_progress: 0, unknown: 0, completed: 0, failed: 0, missing: 0, otherwise: 0 };
}

export function openOf({ queued, in_progress, unknown }: TaskCounts): number {
  return queued + in_progress + unknown;
}
