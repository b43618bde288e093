import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../core/log.ts';
import { frequent } from '../../database/database.ts';
import { untilLedgerAnswers } from '../../database/outage.ts';
import { countOpen, type Batch } from '../../ledger/batches.ts';
import { readBudgetStatus } from '../../ledger/money/budget.ts';
import { readRemainingWork, type RemainingWork } from '../../ledger/send/remaining-work.ts';
import { readGates } from '../../operate/gates.ts';
import type { App } from '../../worker/app.ts';
import type { Sending } from '../../worker/sending.ts';
import type { Interrupt } from '../signals.ts';
import { bar, Speed, type Progress } from '../output/terminal.ts';

interface Watched {
  batches: readonly Batch[];
  /** Rows that were open at the start. */
  open: number;
  sending: Sending;
  /** Whether to wait while an operator's pause or a window keeps the rows. */
  wait: boolean;
}

/** Waits until the ledger has no work left for the batches. Resolves with true if something stopped them before. */
export async function waitForBatches(
  app: App,
  { batches, open: total, sending, wait }: Watched,
  progress: Progress,
  { signal }: Interrupt,
  log: Logger,
): Promise<boolean> {
  const ids = batches.map((batch) => batch.id);
  const countLeft = (): Promise<number> =>
    untilLedgerAnswers('rows left', log, () => countOpen(app.db, ids), signal);
  // A row in flight in this process is work that is left, so no query is needed.
  const readLeft = (): Promise<RemainingWork> =>
    sending.worker.inFlight() > 0
      ? Promise.resolve('work')
      : readRemainingWork(frequent(app.db), sending.origin, ids);
  const countUnpaid = unpaidCounter(app, ids);
  const speed = new Speed();
  let countedAt = -Infinity;
  let countCost = 0;
  let logged: RemainingWork = 'work';
  while (!signal.aborted) {
    const left = await untilLedgerAnswers('work left', log, readLeft, signal);
    if (left === 'nothing') return false;
    if (left === 'halted' || left === 'expired' || left === 'spent') return true;
    const waits = left === 'held' || left === 'later';
    if (waits && !wait) return true;
    if (left !== logged) {
      logged = left;
      if (left === 'later')
        log.info({ event: left, until: await readFirstWait(app, batches) }, 'the remaining rows wait');
      if (left === 'held') {
        const reason = await untilLedgerAnswers('gates', log, () => readPause(app, batches), signal);
        log.warn({ event: left, reason }, 'the remaining rows wait');
      }
    }
    // Counting a million open rows is slow, so it may take at most a tenth of the time.
    const countIn = total < 20_000 ? 250 : Math.max(500, 10 * countCost);
    if (progress.isSeen() && performance.now() - countedAt > countIn) {
      const before = performance.now();
      const stillOpen = await countLeft();
      const unpaid = await untilLedgerAnswers('budgets', log, countUnpaid, signal);
      countedAt = performance.now();
      countCost = countedAt - before;
      const done = total - stillOpen;
      const parts = [
        ...(sending.worker.isFull() && left === 'work' ? ['waiting for tasks to end'] : []),
        ...(left === 'held' ? ['paused by an operator'] : []),
        ...(left === 'later' ? [await readFirstWait(app, batches)] : []),
        bar({ done, total: Math.max(done, total - unpaid), rate: speed.measure(done) }),
      ];
      progress.show(parts.join('  '));
    }
    await sleep(waits ? 500 : 100, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

/**
 * Counts the rows that the budgets of the batches do not pay for. Their number grows when expensive rows go first, so
 * they are counted again every few seconds, and less often if counting is slow.
 */
function unpaidCounter(app: App, ids: readonly number[]): () => Promise<number> {
  let rows = 0;
  let nextAt = -Infinity;
  return async () => {
    const before = performance.now();
    if (before < nextAt) return rows;
    let counted = 0;
    for (const id of ids) counted += (await readBudgetStatus(app.db, id))?.beyond ?? 0;
    rows = counted;
    nextAt = performance.now() + Math.max(2000, 20 * (performance.now() - before));
    return rows;
  };
}

/** Which pause keeps rows, and the command that ends it. */
async function readPause(app: App, batches: readonly Batch[]): Promise<string> {
  for (const batch of batches) {
    const pause = (await readGates(app.db, batch)).find(({ gate }) => gate === 'paused');
    if (pause !== undefined) return pause.reason;
  }
  return 'paused';
}

/** The first reason why rows wait. The log has it, too, so its times are in UTC. */
async function readFirstWait(app: App, batches: readonly Batch[]): Promise<string> {
  for (const batch of batches) {
    const gate = (await readGates(app.db, batch)).find(({ opensAt }) => opensAt !== undefined);
    if (gate !== undefined) return gate.reason;
  }
  return 'waiting';
}
