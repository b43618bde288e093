/**
 * The room `operate` tells an operator how things stand: status, report, explain, verify, doctor and metrics.
 * It may import schedule, worker, results, batch, manifest, provider, ledger, database and core.
 */
import { purseJson } from '../batch/budget.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readBudgetStatus } from '../ledger/money/budget.ts';
import { readNumbers } from '../ledger/read/batch-numbers.ts';
import type { BatchNumbers } from '../ledger/read/batch-numbers.ts';
import { readGates } from './gate.ts';
import { totalOf } from './summary.ts';
import type { Summary } from './summary.ts';

/** Reads where a batch stands. `origin`: the provider of this configuration, if there is one. */
export async function summarise(db: Queryable, batch: Batch, origin?: string): Promise<Summary> {
  return summaryOf(db, batch, await readNumbers(db, batch.id), origin);
}

/** Makes the summary from numbers that the caller has read already. */
export async function summaryOf(
  db: Queryable,
  batch: Batch,
  { counts, surplus, remade }: BatchNumbers,
  origin?: string,
): Promise<Summary> {
  const purse = await readBudgetStatus(db, batch.id);
  return {
    batch: batch.name,
    source: batch.source,
    priority: batch.priority,
    rows: totalOf(counts),
    counts,
    taskIds: counts.submitted,
    surplus,
    remade,
    gates: counts.pending + counts.submitting === 0 ? [] : await readGates(db, batch, origin),
    budget: purse === undefined ? null : purseJson(purse),
  };
}
