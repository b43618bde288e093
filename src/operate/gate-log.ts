import type { Queryable } from '../database/database.ts';
import { waitingBatches } from '../ledger/batch.ts';
import type { Logger } from '../core/log.ts';
import { readGates } from './overview.ts';

/** Whoever has thousands of batches reads `status`. */
const MOST_BATCHES = 20;

/** Says what keeps rows of a provider waiting: what a person has to open, and at level info what opens by itself. */
export async function tellGates(db: Queryable, origin: string, log: Logger): Promise<void> {
  const batches = await waitingBatches(db, origin, MOST_BATCHES);
  const told = new Set<string>();
  for (const batch of batches) {
    for (const { gate, reason, opensAt } of await readGates(db, batch, origin)) {
      // A provider's halt and an operator's pause of all are every batch's.
      if (told.has(reason)) continue;
      told.add(reason);
      const level = opensAt === undefined ? 'warn' : 'info';
      log[level]({ event: 'waiting', batch: batch.name, gate, reason }, 'what is left waits');
    }
  }
}
