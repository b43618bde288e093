import type { Queryable } from '../database/database.ts';
import { glanceAt } from '../ledger/read/glance.ts';
import { nextStep } from '../core/next-step.ts';
import type { JobResult } from './queue/queue.ts';

/**
 * What a job leaves behind whose row was not to be sent: mostly one that was repeated or made by hand. It says how the
 * row stands, and which command would move it.
 */
export async function standingOf(db: Queryable, submissionId: number): Promise<Partial<JobResult>> {
  const row = (await glanceAt(db, [submissionId])).get(submissionId);
  if (row === undefined) return {};
  return {
    ...(row.taskId === null ? {} : { taskId: row.taskId }),
    note: `not-pending: the row is ${row.state}, so nothing was sent; ${nextStep(row)}`,
  };
}
