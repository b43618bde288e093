import type { TaskReport } from '../../core/outcome.ts';
import type { Asker } from '../../provider/asker.ts';
import type { Database } from '../../database/database.ts';
import { finding, type Finding, type Rule } from '../../ledger/verify/invariant.ts';
import { readSlices, readKnownTasks, type KnownTask } from '../../ledger/verify/walk.ts';
import type { Inspection } from './verify.ts';

/** The rules for the ledger's task ids and the provider's answers. */
const TASK_RULES = {
  known: {
    name: 'task-known',
    holds: 'the provider knows every task id of the ledger',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill",
  },
  final: {
    name: 'task-final',
    holds: 'a task that has ended keeps its status',
    severity: 'difference',
    next: "look for it in the provider's own task list and bill",
  },
  readable: {
    name: 'task-readable',
    holds: 'the status of each task is known to vidbatch',
    severity: 'note',
    next: 'vidbatch reconcile {batch} polls it again',
  },
} as const satisfies Record<string, Rule>;

export interface Asked {
  asked: number;
  /** Polls without an answer about the task. */
  unanswered: number;
}

const SLICE = 200;

/**
 * Asks the provider for each of its task ids, `concurrency` at a time, and compares the answers with the ledger. It stores
 * nothing. It counts in `totals`.
 */
export async function* inspectTasks(
  db: Database,
  provider: Asker,
  options: { batchId: number | null; concurrency: number; signal?: AbortSignal },
  totals: Asked,
): AsyncGenerator<Inspection> {
  for await (const slice of readSlices(db, options.batchId, SLICE)) {
    const waiting = await readKnownTasks(db, provider.origin, slice, options.batchId);
    const found: Finding[] = [];
    await Promise.all(
      Array.from({ length: Math.min(options.concurrency, waiting.length) }, async () => {
        for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
          if (options.signal?.aborted === true) return;
          const report = await provider.query(task.taskId, task);
          totals.asked += 1;
          if (report.kind === 'transient') totals.unanswered += 1;
          found.push(...differences(task, report));
        }
      }),
    );
    yield { found };
    if (options.signal?.aborted === true) return;
  }
}

function differences(task: KnownTask, report: TaskReport): Finding[] {
  const { taskId, batch, key, attempt } = task;
  if (report.kind === 'transient') return [];
  if (report.kind === 'missing') {
    return [
      finding(TASK_RULES.known, {
        batch,
        key,
        attempt,
        what: `task ${taskId} is not known to the provider`,
        ...(task.fresh
          ? { severity: 'note', next: 'run the command again in a few minutes: the task is new' }
          : {}),
      }),
    ];
  }
  if (report.status === 'unknown') {
    const what = `task ${taskId} has the status "${report.rawStatus}"`;
    return [finding(TASK_RULES.readable, { batch, key, attempt, what })];
  }
  const ended = task.status === 'completed' || task.status === 'failed';
  if (!ended || report.status === task.status) return [];
  const what = `task ${taskId} was ${task.status}, and the provider now says ${report.status}`;
  return [finding(TASK_RULES.final, { batch, key, attempt, what })];
}
