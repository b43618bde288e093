import type { Database } from './ledger/database.ts';
import { openTasks, recordTask } from './ledger/read.ts';
import type { OpenTask } from './ledger/read.ts';
import { reached } from './point.ts';
import type { Provider, TaskReport } from './provider/outcome.ts';

/** What one pass over the open tasks found. */
export interface Reconciled {
  asked: number;
  completed: number;
  failed: number;
  open: number;
  /** The provider does not know the task. It may be too fresh: it is asked for again. */
  missing: number;
  /** No answer about the task this time. */
  unanswered: number;
}

const PAGE = 200;

/** Asks the provider once for every open task of a batch (or of all), `concurrency` at a time, and stores the answers. */
export async function reconcile(
  db: Database,
  provider: Pick<Provider, 'query' | 'origin'>,
  options: {
    batchId: number | null;
    concurrency: number;
    onAsked?: (asked: number) => void;
    signal?: AbortSignal;
  },
): Promise<Reconciled> {
  const totals: Reconciled = { asked: 0, completed: 0, failed: 0, open: 0, missing: 0, unanswered: 0 };
  let afterId = 0;
  for (;;) {
    const tasks = await openTasks(db, provider.origin, options.batchId, afterId, PAGE);
    const last = tasks.at(-1);
    if (last === undefined) return totals;
    afterId = last.submissionId;
    const waiting = [...tasks];
    await Promise.all(
      Array.from({ length: Math.min(options.concurrency, waiting.length) }, async () => {
        for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
          if (options.signal?.aborted === true) return;
          const report = await provider.query(task.taskId);
          reached('task-asked');
          await settle(db, task, report, totals);
          reached('task-recorded');
          totals.asked += 1;
          options.onAsked?.(totals.asked);
        }
      }),
    );
    if (options.signal?.aborted === true) return totals;
  }
}

async function settle(db: Database, task: OpenTask, report: TaskReport, totals: Reconciled): Promise<void> {
  if (report.kind === 'transient') {
    totals.unanswered += 1;
    return;
  }
  if (report.kind === 'missing') {
    totals.missing += 1;
    return;
  }
  if (report.status === 'completed') totals.completed += 1;
  else if (report.status === 'failed') totals.failed += 1;
  else totals.open += 1;
  await recordTask(db, task.submissionId, {
    status: report.status,
    progress: report.progress ?? null,
    resultUrl: report.resultUrl ?? null,
    failReason: report.status === 'failed' ? (report.failReason ?? 'the provider gave no reason') : null,
  });
}
