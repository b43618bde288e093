import { tellAccepted } from './accepted.ts';
import type { Logger } from '../core/log.ts';
import type { Verdict } from './submit.ts';

/** One line for what became of a row, or why rows of a batch wait. */
export function tellVerdict(log: Logger, verdict: Verdict): void {
  if (verdict.kind === 'blocked') {
    log.debug({ event: 'blocked', batch: verdict.batchId, ...verdict.blocked }, 'rows wait');
    return;
  }
  const { claim, outcome, recorded } = verdict;
  const row = { batch: claim.batch, key: claim.key, attempt: claim.number, attemptId: claim.attemptId };
  const { httpStatus, code, message } = outcome.evidence;
  if (outcome.kind === 'accepted') {
    const { taskId } = outcome;
    if (recorded.known) log.info({ event: 'known-task', ...row, taskId }, 'accepted, as was known before');
    else tellAccepted(log, { ...row, taskId, surplus: recorded.surplus });
  } else if ((outcome.kind === 'halted' || recorded.halted) && recorded.state !== 'rejected') {
    log.error({ event: 'halted', ...row, httpStatus, code, reason: message }, 'the provider is halted');
  } else {
    // What is tried again needs nobody; what ends here does.
    const ends = ['rejected', 'exhausted', 'invalid'].includes(recorded.state);
    const level = outcome.kind === 'uncertain' || ends ? 'warn' : 'info';
    log[level](
      {
        event: recorded.state === 'rejected' ? 'rejected' : outcome.kind,
        ...row,
        state: recorded.state,
        httpStatus,
        code,
        reason: message,
      },
      recorded.state === 'rejected' ? 'rejected' : outcome.kind,
    );
  }
}
