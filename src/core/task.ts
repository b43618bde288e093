import type { TaskReport } from './outcome.ts';

/** What a task is, as far as we know. `missing`: the provider does not know it, and was asked often enough. */
export type TaskStatus = Extract<TaskReport, { kind: 'task' }>['status'] | 'missing';

/** Not asked any more by itself. The indexes of the schema hold the same words. */
const SETTLED_STATUSES = ['completed', 'failed', 'missing'] as const satisfies TaskStatus[];

export function isSettled(status: string | null): boolean {
  return status !== null && (SETTLED_STATUSES as readonly string[]).includes(status);
}

/** The provider has said so itself, and is not supposed to say otherwise later. */
export function isFinal(status: TaskStatus): boolean {
  return status === 'completed' || status === 'failed';
}

/** Result URLs die after a day, it is said. Of some providers, after an hour. */
const ASSUMED_LIFE_MS = 24 * 3_600_000;

/** When a result URL dies: as the answer said, as the URL itself says, or as is usual (`assumed`). */
export interface UrlExpiry {
  at: Date;
  by: 'answer' | 'url' | 'assumed';
}

export function expiryOf(task: {
  urlSeenAt: Date | null;
  urlExpiresAt: Date | null;
  urlExpiry: 'answer' | 'url' | null;
}): UrlExpiry | undefined {
  if (task.urlExpiresAt !== null && task.urlExpiry !== null)
    return { at: task.urlExpiresAt, by: task.urlExpiry };
  return task.urlSeenAt === null
    ? undefined
    : { at: new Date(task.urlSeenAt.getTime() + ASSUMED_LIFE_MS), by: 'assumed' };
}

/** Tasks by what they are; surplus ones are counted like others. */
export interface TaskCounts {
  queued: number;
  in_progress: number;
  unknown: number;
  completed: number;
  failed: number;
  missing: number;
  /** At their end, and said to be otherwise by now. */
  otherwise: number;
}

export function openOf({ queued, in_progress, unknown }: TaskCounts): number {
  return queued + in_progress + unknown;
}
