import type { Batch, ModelLedger, Row } from './state.ts';

/** What of its price a row has spent, or may have. */
export function heldOf({ state, doubtful, price }: Row): number {
  return doubtful || ['submitting', 'submitted', 'uncertain', 'abandoned'].includes(state) ? (price ?? 0) : 0;
}

/** What the rows of a batch hold, and their surplus tasks; null: nobody keeps account. */
export function held(ledger: ModelLedger, batch: Batch): number | null {
  if (batch.budget === null) return null;
  const rows = [...ledger.rows.values()].filter(({ batchId }) => batchId === batch.id);
  const surplus = [...ledger.attempts.values()].filter((one) => one.surplus);
  return rows.reduce(
    (sum, row) =>
      sum +
      heldOf(row) +
      (row.price ?? 0) * surplus.filter(({ submissionId }) => submissionId === row.id).length,
    0,
  );
}

export function isAffordable(ledger: ModelLedger, row: Row): boolean {
  const batch = ledger.batchOf(row);
  if (batch.budget === null || ledger.slip === 'claim-over-the-budget') return true;
  if (row.price === null || row.currency !== batch.currency) return false;
  return (held(ledger, batch) ?? 0) + row.price - heldOf(row) <= batch.budget;
}

export function setBudget(ledger: ModelLedger, id: number, budget: number | null): void {
  Object.assign(ledger.batches.get(id) ?? {}, { budget, currency: budget === null ? null : 'CNY' });
}
