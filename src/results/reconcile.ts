/**
 * The room `results` follows accepted tasks: it polls them, compares them with the provider’s files, and
 * downloads videos.
 * It may import batch, manifest, provider, ledger, database and core.
 */
import type { Database } from '../database/database.ts';
import { askNow, countTasks } from '../ledger/tasks/tasks.ts';
import { readAnsweredCosts, type AnsweredCosts } from '../ledger/tasks/costs.ts';
import { ensurePoller } from '../ledger/tasks/poll.ts';
import type { Polled } from '../ledger/tasks/record-polls.ts';
import type { Logger } from '../core/log.ts';
import { startPoller, type PollerOptions } from './poll/poller.ts';
import type { Asker } from '../provider/asker.ts';
import type { TaskCounts } from '../core/task-status.ts';

export interface ReconcileOptions extends Pick<
  PollerOptions,
  'concurrency' | 'intervalMs' | 'timeoutMs' | 'plan' | 'random'
> {
  /** Null: of all. */
  batchId: number | null;
  /** Continues until no task is open, and polls each task when it is due. Without it, each task is polled once, now. */
  watch?: boolean;
  /** Also tasks that have ended. */
  ended?: boolean;
  log: Logger;
  onAsked?: (asked: number) => void;
  signal?: AbortSignal;
}

/** What the provider answered, and the counts of tasks afterwards. */
export interface Reconciled {
  /** Polls: one for each task, except with `watch`. */
  asked: number;
  completed: number;
  failed: number;
  open: number;
  /** The provider does not know the task. The task may be too new, so it is polled again. */
  missing: number;
  /** It had ended, and the provider now gives another status. */
  otherwise: number;
  /** No answer about the task. */
  unanswered: number;
  /** Why it ended early: the last polls were refused, or got no answer. */
  silent: string | null;
  /** The counts of the ledger afterwards, surplus tasks included. */
  tasks: TaskCounts;
  /** What the answers of all these tasks say that they cost. */
  costs: AnsweredCosts;
}

/** After this many polls in a row without an answer, the other polls would also get no answer. */
const SILENT_AFTER = 20;
/** One page instead of an answer says little; several in a row mean a bad key or a wrong URL. */
const REFUSED_AFTER = 3;

/**
 * Asks the provider for the tasks of a batch (or of all) and stores the answers. Workers that poll share the work. It ends
 * early when the provider refuses to answer, and without `watch` also when the provider is away.
 */
export async function reconcile(
  db: Database,
  provider: Asker,
  { batchId, watch = false, ended = false, log, onAsked, signal, ...how }: ReconcileOptions,
): Promise<Reconciled> {
  const batches = batchId === null ? null : [batchId];
  const scope = { origin: provider.origin, batches };
  const totals = { asked: 0, completed: 0, failed: 0, open: 0, missing: 0, otherwise: 0, unanswered: 0 };
  let inARow = 0;
  let silent: string | null = null;
  await ensurePoller(db, provider.origin);
  const askedSince = await askNow(db, scope, { open: !watch, ended });
  const poller = startPoller({
    db,
    provider: {
      origin: provider.origin,
      async query(taskId, asked) {
        const report = await provider.query(taskId, asked);
        if (asked.signal?.aborted === true) return report;
        inARow = report.kind === 'transient' ? inARow + 1 : 0;
        if (report.kind === 'transient' && isSilent(report.trouble)) {
          silent = report.message;
        }
        return report;
      },
    },
    batches,
    log,
    ...how,
    until: watch ? 'settled' : { askedSince },
    onPolled(polled) {
      totals.asked += 1;
      totals[kindOf(polled)] += 1;
      onAsked?.(totals.asked);
      if (silent !== null) void poller.stop();
    },
  });
  const stop = (): void => void poller.stop();
  signal?.addEventListener('abort', stop);
  if (signal?.aborted === true) stop();
  await poller.ended;
  signal?.removeEventListener('abort', stop);
  const costs = await readAnsweredCosts(db, batches);
  return { ...totals, silent, tasks: await countTasks(db, batches), costs };

  function isSilent(trouble: 'throttled' | 'refused' | 'broken'): boolean {
    if (trouble === 'refused') return inARow >= REFUSED_AFTER;
    return !watch && trouble === 'broken' && inARow >= SILENT_AFTER;
  }
}

function kindOf({ verdict }: Polled): Exclude<keyof Reconciled, 'asked' | 'silent' | 'tasks' | 'costs'> {
  switch (verdict.kind) {
    case 'said': {
      const { status } = verdict.report;
      return status === 'completed' || status === 'failed' ? status : 'open';
    }
    case 'missed':
      return 'missing';
    case 'otherwise':
    case 'unanswered':
      return verdict.kind;
  }
}
