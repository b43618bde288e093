import type { Logger } from '../core/log.ts';

/** A task id that became known, and whose it is. */
export interface Accepted {
  batch: string;
  key: string;
  /** Which attempt of its row, from 1. */
  attempt: number;
  attemptId: string;
  taskId: string;
  /** Its row has another one already. */
  surplus: boolean;
  /** How it was heard of, when it was not the answer to this process's own request. */
  by?: 'journal' | 'resolve';
}

/**
 * One line for each task id, whichever way it becomes known, once it is stored: whoever keeps the logs can find every
 * task without the ledger. A process that is killed between the store and this line loses the line, and not the id.
 */
export function tellAccepted(log: Logger, { surplus, ...accepted }: Accepted): void {
  const line = { event: 'accepted', ...accepted };
  if (surplus) log.error({ ...line, surplus }, 'accepted: a second task id for one row, paid twice');
  else log.info(line, 'accepted');
}
