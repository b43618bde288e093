import { hostname } from 'node:os';
import { messageOf } from '../../core/errors.ts';
import { note } from '../batch.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { transaction } from '../../database/database.ts';
import { keepWindow, ledgerNow, setBatchWindow, setOffPeakWindow, staleWindows } from './window.ts';
import type { Logger } from '../../core/log.ts';
import { openings, parseWindow } from '../../core/time/window.ts';
import type { Window } from '../../core/time/window.ts';
import { DAY_MS } from '../../core/time/zone.ts';

/** How far ahead the ledger knows when its windows are open: for as long, workers may be away or know no zones. */
const AHEAD_MS = 14 * DAY_MS;
const RENEW_MS = 7 * DAY_MS;
const TZ = process.versions['tz'] ?? '';

/** Writes into the ledger when the window is open in the days to come. Returns its id. */
async function know(db: Queryable, window: Window): Promise<number> {
  const now = await ledgerNow(db);
  const knownUntil = now + AHEAD_MS;
  const calendar = {
    text: window.text,
    openings: openings(window, { from: now - DAY_MS, to: knownUntil }),
    knownUntil,
    tz: TZ,
  };
  return keepWindow(db, calendar, RENEW_MS);
}

/** Brings what the ledger knows of its windows up to date. */
export async function renewWindows(db: Queryable, log: Logger): Promise<void> {
  for (const text of await staleWindows(db, TZ, RENEW_MS)) {
    try {
      await know(db, parseWindow('the ledger', text));
    } catch (error) {
      // Of a later version, or a zone that this machine does not know: others may, and until then it shuts in time.
      log.warn({ event: 'window-unknown', window: text, error: messageOf(error) }, 'a window cannot be read');
    }
  }
}

/** All workers of this ledger send off-peak rows in this window from now on; null: at any time. */
export async function putOffPeakUnder(db: Database, window: Window | null, log: Logger): Promise<void> {
  const before = await transaction(db, async (session) => {
    const text = await setOffPeakWindow(session, window && (await know(session, window)));
    if (text !== (window?.text ?? null)) {
      await note(session, 'offpeak-window', `${change(text, window)}, by ${hostname()}`);
    }
    return text;
  });
  if (before === (window?.text ?? null)) return;
  log.warn(
    { event: 'offpeak-window', before, after: window?.text ?? null },
    'the window of off-peak rows is another one now, for all workers of this ledger',
  );
}

/** Rows of this batch are sent in this window only, from now on; null: at any time. */
export async function putBatchUnder(db: Queryable, batchId: number, window: Window | null): Promise<void> {
  const before = await setBatchWindow(db, batchId, window && (await know(db, window)));
  if (before !== (window?.text ?? null)) await note(db, 'window', change(before, window), batchId);
}

function change(before: string | null, after: Window | null): string {
  return `${before ?? 'none'} → ${after?.text ?? 'none'}`;
}
