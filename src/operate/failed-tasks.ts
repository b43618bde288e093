import { remakeLine } from '../core/next-step.ts';
import type { FailReason } from '../ledger/remake.ts';
import { count } from '../core/format.ts';

const MOST_REASONS = 3;

/** `18 InternalServiceFailure · 3 the provider gave no reason · 2 for other reasons` */
export function reasonsTold(reasons: readonly FailReason[]): string {
  const shown = reasons.slice(0, MOST_REASONS).map(({ reason, tasks }) => `${count(tasks)} ${reason}`);
  const others = reasons.slice(MOST_REASONS).reduce((sum, { tasks }) => sum + tasks, 0);
  return [...shown, ...(others === 0 ? [] : [`${count(others)} for other reasons`])].join(' · ');
}

/** One line for a batch of which tasks failed; undefined: none did. */
export function failedTasksTold(batch: string, reasons: readonly FailReason[]): string | undefined {
  const total = reasons.reduce((sum, { tasks }) => sum + tasks, 0);
  if (total === 0) return undefined;
  const them = total === 1 ? 'it' : 'them';
  return `${count(total)} ${total === 1 ? 'task' : 'tasks'} failed at the provider: ${reasonsTold(reasons)}; \`${remakeLine(batch)}\` makes ${them} again, and pays again`;
}
