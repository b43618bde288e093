import type { Span } from '../../../src/core/time/zone.ts';
import type { ModelLedger, Row } from './state.ts';

/** What leaves later than this before the close arrives after it. */
const LAST_MS = 1000;

/** Of each window that the row is under: when it is open. */
function windowsOf(ledger: ModelLedger, row: Row): (readonly Span[])[] {
  const ids = new Set([ledger.batchOf(row).windowId, row.offPeak ? ledger.offPeakWindowId : null]);
  return [...ids].flatMap((id) => (id === null ? [] : [ledger.windows.get(id) ?? []]));
}

function isOpen({ at }: ModelLedger, openings: readonly Span[]): boolean {
  return openings.some(({ from, to }) => from <= at && to >= at + LAST_MS);
}

export function isExpired(ledger: ModelLedger, row: Row): boolean {
  return ledger.batchOf(row).notAfter <= ledger.at + LAST_MS;
}

export function isWindowOpen(ledger: ModelLedger, row: Row): boolean {
  return windowsOf(ledger, row).every((openings) => isOpen(ledger, openings)) && !isExpired(ledger, row);
}

/** Milliseconds for which the row may still leave; null: no end to it. */
export function openMs(ledger: ModelLedger, row: Row): number | null {
  const { at } = ledger;
  const ends = windowsOf(ledger, row).map(
    (openings) => openings.find(({ from, to }) => from <= at && at < to)?.to ?? at,
  );
  const least = Math.min(...ends, ledger.batchOf(row).notAfter) - at;
  return Number.isFinite(least) ? least : null;
}

/** Milliseconds until all windows that are shut have been open; null: nobody knows. */
export function opensInMs(ledger: ModelLedger, row: Row): number | null {
  const { at } = ledger;
  const known = windowsOf(ledger, row)
    .filter((openings) => !isOpen(ledger, openings))
    .map((openings) => Math.min(...openings.filter(({ from }) => from > at).map(({ from }) => from)))
    .filter(Number.isFinite);
  return known.length === 0 ? null : Math.max(...known) - at;
}
