import type { Polled } from '../../ledger/tasks/poll-record.ts';
import type { Logger } from '../../core/log.ts';
import { isFinal } from '../../core/task.ts';

/** One line for what a person would want to know of a poll; the others are for whoever looks for a fault. */
export function tellPolled(
  log: Logger,
  { task, verdict }: Polled,
  { recorded, held }: { recorded: boolean; held: boolean },
): void {
  const told = { taskId: task.taskId, submission: task.submissionId, poll: task.poll };
  if (!recorded) {
    log.debug({ event: 'poll-late', ...told }, 'a task was answered after its lease: somebody else asks');
    return;
  }
  switch (verdict.kind) {
    case 'said': {
      const { status } = verdict.report;
      const event = isFinal(status) ? 'task-ended' : 'task-open';
      log.debug({ event, ...told, status }, `a task is ${status}`);
      return;
    }
    case 'missed':
      if (verdict.missing && task.status !== 'missing')
        log.warn({ event: 'task-missing', ...told }, 'the provider does not know this task');
      return;
    case 'otherwise':
      if (verdict.news)
        log.warn(
          { event: 'task-otherwise', ...told, was: task.status, status: verdict.status },
          'a task had come to its end, and the provider says otherwise',
        );
      return;
    case 'unanswered':
      if (verdict.holdMs > 0)
        log[held ? 'debug' : 'warn'](
          { event: 'polls-held', ms: Math.round(verdict.holdMs), problem: verdict.problem },
          'the provider is not asked for tasks for a while',
        );
      else log.debug({ event: 'poll-unanswered', ...told, problem: verdict.problem }, 'no answer for a task');
  }
}
