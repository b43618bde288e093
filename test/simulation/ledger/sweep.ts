import type { Again } from '../../../src/ledger/send/unknown-outcome.ts';
import { callOff, mayGoAgain } from './doubt.ts';
import type { ModelLedger } from './state.ts';

export function sweep(
  ledger: ModelLedger,
  { all = false, again }: { all?: boolean; again?: Again | undefined } = {},
): number {
  let swept = 0;
  for (const row of ledger.rows.values()) {
    if (row.state !== 'submitting' || row.attemptId === null || row.deadline === null) continue;
    if (!all && row.deadline >= ledger.at && ledger.slip !== 'sweep-before-the-deadline') continue;
    const attempt = ledger.attempts.get(row.attemptId);
    const goes = mayGoAgain(ledger, row, attempt, again);
    ledger.move(row, goes ? 'pending' : 'uncertain', {
      deadline: null,
      doubtful: row.doubtful || goes,
      spent: row.spent + (goes ? 1 : 0),
    });
    if (attempt !== undefined) attempt.sweptAt = ledger.at;
    swept += 1;
  }
  freeSlots(ledger);
  for (const row of ledger.rows.values()) {
    if (row.state === 'pending' && ledger.batchOf(row).state === 'cancelled') callOff(ledger, row);
  }
  return swept;
}

function freeSlots(ledger: ModelLedger): void {
  const rows = [...ledger.rows.values()].filter(({ state }) => state === 'submitting');
  for (const batch of ledger.batches.values()) {
    if (!rows.some((row) => row.attemptId === batch.canary && row.batchId === batch.id)) batch.canary = null;
  }
  for (const gateway of ledger.gateways.values()) {
    if (!rows.some((row) => row.attemptId === gateway.probe)) gateway.probe = null;
  }
}
