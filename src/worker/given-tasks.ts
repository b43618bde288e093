import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Queryable } from '../database/database.ts';
import { noteSharedTask } from '../ledger/tasks/shared-task.ts';
import type { Settled } from './submit.ts';

/** A worker remembers the task ids of this many accepted rows, the newest ones. */
const MOST = 50_000;

/** The rows to which the provider gave task ids. It notices a task id of two rows without a question to the ledger. */
export class GivenTasks {
  readonly #most: number;
  readonly #rows = new Map<string, number>();

  constructor(most = MOST) {
    this.#most = most;
  }

  /** Remembers the row of a task id. Returns the other row that has this task id; undefined: none is remembered. */
  note(taskId: string, submissionId: number): number | undefined {
    const first = this.#rows.get(taskId);
    if (first !== undefined) return first === submissionId ? undefined : first;
    this.#rows.set(taskId, submissionId);
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= this.#most) break;
      this.#rows.delete(oldest);
    }
    return undefined;
  }
}

/**
 * Tells when a row gets the task id of another row: in the log, and in the ledger, where `status` finds it. The row is
 * settled by then, so an error here changes nothing for it. `verify` finds such rows of all workers.
 */
export function createSharedWatch(db: Queryable, log: Logger): (settled: Settled) => Promise<void> {
  const given = new GivenTasks();
  return async ({ claim, outcome }) => {
    if (outcome.kind !== 'accepted') return;
    const { taskId } = outcome;
    const other = given.note(taskId, claim.submissionId);
    if (other === undefined) return;
    const row = { batch: claim.batch, key: claim.key, attemptId: claim.attemptId, taskId };
    log.error({ event: 'task-shared', ...row }, 'the provider gave this row the task id of another row');
    try {
      await noteSharedTask(db, taskId, { row: claim.submissionId, other });
    } catch (error) {
      log.warn(
        { event: 'task-shared-unnoted', ...row, error: messageOf(error) },
        'the ledger has no note of it',
      );
    }
  };
}
