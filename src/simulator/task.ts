import { draw } from './seed.ts';
import type { TaskLife } from './settings.ts';

/** When a task runs; milliseconds since 1970. */
export interface Span {
  startsAt: number;
  endsAt: number;
}

export interface TaskStatus {
  status: 'queued' | 'in_progress' | 'completed' | 'failed' | 'expired';
  /** 0-100. */
  progress: number;
  failReason?: string;
}

/** How a vendor explains a task that failed after it was accepted and paid. */
const FAIL_REASONS = ['CreationPolicyViolation', 'InternalServiceFailure', 'ImageDownloadFailure'] as const;

/**
 * When a task would run if `free` is the moment its account has room for it. An expired one waits out the
 * same time and never starts.
 */
export function spanOf(acceptedAt: number, free: number, life: TaskLife): Span {
  const startsAt = Math.max(acceptedAt + life.queuedMs, free);
  return { startsAt, endsAt: startsAt + life.runningMs };
}

/** The state of a task at `now`; pure. `number` is what the seed's draws hang on, `poll` counts from 1. */
export function statusOf(
  task: { number: number; span: Span; life: TaskLife },
  now: number,
  poll: number,
  seed: number,
): TaskStatus {
  const { span, life, number } = task;
  const ends = life.ends ?? (draw(seed, 'task-fails', number) < life.failureShare ? 'failed' : 'completed');
  if (now < span.startsAt || (ends === 'expired' && now < span.endsAt))
    return { status: 'queued', progress: 0 };
  if (now < span.endsAt) {
    const done = Math.floor((100 * (now - span.startsAt)) / (span.endsAt - span.startsAt));
    const back = life.backwards && poll % 2 === 0 ? 30 : 0;
    return { status: 'in_progress', progress: Math.max(0, done - back) };
  }
  if (ends === 'completed') {
    return { status: 'completed', progress: 100 };
  }
  const reason = FAIL_REASONS[Math.floor(draw(seed, 'fail-reason', number) * FAIL_REASONS.length)];
  return ends === 'expired'
    ? { status: 'expired', progress: 0, failReason: 'not done in time: cancelled and refunded' }
    : { status: 'failed', progress: 0, failReason: reason ?? FAIL_REASONS[0] };
}
