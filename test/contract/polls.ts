import { ensurePoller, takeTasks, type TakenTask, type Taking } from '../../src/ledger/tasks/poll.ts';
import { recordPolls } from '../../src/ledger/tasks/record-polls.ts';
import type { Queryable } from '../../src/database/database.ts';
import { judgePoll, type PollPlan } from '../../src/core/poll-plan.ts';
import type { TaskReport } from '../../src/core/outcome.ts';
import type { Made } from './rows.ts';

/** What a provider says of a task. */
export function reportOf(
  status: Extract<TaskReport, { kind: 'task' }>['status'],
  more: Partial<Extract<TaskReport, { kind: 'task' }>> = {},
): TaskReport {
  return { kind: 'task', status, rawStatus: status, body: `{"status":"${status}"}`, ...more };
}

/** Takes what is due, the newest too, as a poller does. */
export async function take(
  db: Queryable,
  { id, origin }: Pick<Made, 'id' | 'origin'>,
  taking: Partial<Taking> = {},
): Promise<TakenTask[]> {
  await ensurePoller(db, origin);
  const scope = { origin, batches: [id] };
  return takeTasks(db, scope, {
    asker: 'p1',
    room: 1000,
    intervalMs: null,
    leaseMs: 60_000,
    firstMs: 0,
    ...taking,
  });
}

/** Asks once for every task of the batch that is due. */
export async function poll(
  db: Queryable,
  made: Pick<Made, 'id' | 'origin'>,
  answer: (task: TakenTask) => TaskReport,
  { plan, ...taking }: Partial<Taking> & { plan?: PollPlan } = {},
): Promise<TakenTask[]> {
  const tasks = await take(db, made, taking);
  const options = { random: () => 0.5, ...(plan === undefined ? {} : { plan }) };
  const polls = tasks.map((task) => ({ task, verdict: judgePoll(task, answer(task), options) }));
  await recordPolls(db, made.origin, polls);
  return tasks;
}
