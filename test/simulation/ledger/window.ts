import { WINDOW_MS } from '../../../src/core/states.ts';
import { openings, type Window } from '../../../src/core/time/window.ts';
import type { Batch, ModelLedger } from './state.ts';

/** It stays open for as long as a claim may take to leave and to arrive. */
function isOpen({ at }: ModelLedger, window: Window): boolean {
  const latest = at + WINDOW_MS;
  return openings(window, { from: at, to: latest + 1 }).some(({ from, to }) => from <= at && to > latest);
}

export function isExpired(ledger: ModelLedger, batch: Batch): boolean {
  return batch.notAfter <= ledger.at + WINDOW_MS;
}

/** The windows of the batch, and of its rows of models that are cheaper off-peak, are open. */
export function isWindowOpen(ledger: ModelLedger, batch: Batch, offPeak: boolean): boolean {
  const ids = new Set([batch.windowId, offPeak ? ledger.offPeakWindowId : null]);
  return [...ids].every((id) => id === null || isOpen(ledger, ledger.windowOf(id)));
}
