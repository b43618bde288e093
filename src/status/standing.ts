import type { Queryable } from '../ledger/database.ts';
import { glanceAt } from '../ledger/glance.ts';
import { nextStep } from './next-step.ts';
import type { JobResult } from '../queue.ts';

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
