import type { Logger } from '../core/log.ts';
import type { Verdict } from './submit.ts';

/** A task id that became known, and the attempt that it belongs to. */
export interface Accepted {
  batch: string;
  key: string;
  /** Which attempt of its row, from 1. */
  attempt: number;
  attemptId: string;
  taskId: string;
  /** Its row already has another task id. */
  surplus: boolean;
  /** How it became known, if it was not the answer to this process's own request. */
  by?: 'journal' | 'resolve';
}

/**
 * One line for each task id, however it becomes known, once it is stored. So the logs name every task without the ledger.
 * A process that is killed between the store and this line loses the line, and not the id.
 */
export function logAccepted(log: Logger, { surplus, ...accepted }: Accepted): void {
  const line = { event: 'accepted', ...accepted };
  if (surplus) log.error({ ...line, surplus }, 'accepted: a second task id for one row, paid twice');
  else log.info(line, 'accepted');
}

/** One line for the result of a row, or for the reason why rows of a batch wait. */
export function logVerdict(log: Logger, verdict: Verdict): void {
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
    else logAccepted(log, { ...row, taskId, surplus: recorded.surplus });
  } else if ((outcome.kind === 'halted' || recorded.halted) && recorded.state !== 'rejected') {
    log.error({ event: 'halted', ...row, httpStatus, code, reason: message }, 'the provider is halted');
  } else {
    // A person must look at a row that ends here. A row that is tried again needs no person.
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
