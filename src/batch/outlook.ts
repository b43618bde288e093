import { readSendRate } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { countWaiting, readWindows } from '../ledger/send/window.ts';
import { describeForecast, forecast } from './forecast.ts';
import type { Forecast, Load } from './forecast.ts';
import { AHEAD_MS, openings, parseWindow } from '../core/time/window.ts';
import type { Window } from '../core/time/window.ts';
import { common } from '../core/time/zone.ts';
import type { Span } from '../core/time/zone.ts';

/** Under which windows rows wait. */
export interface Windows {
  batch: Window | null;
  offPeak: Window | null;
}

/** When what is left of a batch will be sent, as far as anybody can say. */
export interface Outlook extends Partial<Forecast> {
  now: number;
  rows: number;
  /** Of these, rows that wait for a window. */
  waiting: number;
  /** Rows a second; null: not known, and so is the rest. */
  perSecond: number | null;
  /** When it would be done if sending took no time; undefined: no window opens for some rows. */
  earliest: number | undefined;
  /** One line for people. */
  told: string;
}

/** The windows of a batch as the ledger has them. @throws VidbatchError when a later vidbatch has written them. */
export async function windowsOf(db: Queryable, batchId: number | null): Promise<Windows> {
  const known = await readWindows(db, batchId);
  const read = (text: string | null): Window | null =>
    text === null ? null : parseWindow('the ledger', text);
  return { batch: read(known.batch), offPeak: read(known.offPeak) };
}

/**
 * What is left of a batch, under its windows. `perSecond`: as the user says; else as fast as its last rows were
 * accepted. `offPeak`: as if off-peak rows were under that window.
 */
export async function outlookOf(
  db: Queryable,
  batch: Pick<Batch, 'id'>,
  { perSecond, offPeak }: { perSecond?: number | undefined; offPeak?: Window | null | undefined },
): Promise<Outlook> {
  const windows = await windowsOf(db, batch.id);
  const waiting = await countWaiting(db, batch.id);
  return outlook(
    { normal: waiting.rows - waiting.offPeak, offPeak: waiting.offPeak },
    { ...windows, ...(offPeak === undefined ? {} : { offPeak }) },
    { now: waiting.now.getTime(), perSecond: perSecond ?? (await readSendRate(db, batch.id)) },
  );
}

/** The same for any number of rows; nothing is asked of anybody. */
export function outlook(
  rows: { normal: number; offPeak: number },
  windows: Windows,
  { now, perSecond }: { now: number; perSecond: number | null },
): Outlook {
  const known = { from: now, to: now + AHEAD_MS };
  const open = (window: Window | null): Span[] | undefined =>
    window === null ? undefined : openings(window, known);
  const batch = open(windows.batch);
  const offPeak = open(windows.offPeak);
  const both = batch !== undefined && offPeak !== undefined ? common(batch, offPeak) : (offPeak ?? batch);
  const loads: Load[] = [
    { rows: rows.normal, openings: batch },
    { rows: rows.offPeak, openings: both },
  ].filter((load) => load.rows > 0);
  const all = rows.normal + rows.offPeak;
  const earliest = forecast(loads, { now, perSecond: Number.MAX_SAFE_INTEGER }).doneAt;
  const waiting = loads.reduce((sum, load) => sum + (load.openings === undefined ? 0 : load.rows), 0);
  const base = { now, rows: all, waiting, perSecond, earliest };
  if (perSecond === null) {
    const told = 'not known until the first rows are accepted; --rate, such as --rate 2/s, gives one now';
    return { ...base, told };
  }
  const seen = forecast(loads, { now, perSecond });
  const zone = (windows.offPeak ?? windows.batch)?.rules[0]?.zone ?? 'UTC';
  return { ...base, ...seen, told: describeForecast(seen, { now, perSecond, zone, known }) };
}

/** As `--json` shows it: times are RFC 3339. */
export function outlookJson({ rows, waiting, perSecond, windows, doneAt }: Outlook): Record<string, unknown> {
  const time = (at: number): string => new Date(at).toISOString();
  return {
    rows,
    waiting,
    perSecond,
    windows:
      windows?.map(({ from, to, rows: sent }) => ({ opensAt: time(from), closesAt: time(to), rows: sent })) ??
      null,
    doneAt: doneAt === undefined ? null : time(doneAt),
  };
}
