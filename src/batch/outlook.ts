import { readSendRate, type Batch } from '../ledger/batches.ts';
import type { Group } from '../ledger/import/outline.ts';
import type { Queryable } from '../database/database.ts';
import { countWaiting, ledgerNow, readWindows } from '../ledger/send/window.ts';
import { AHEAD_MS, openings, parseWindow, type Window } from '../core/time/window.ts';
import { common, DAY_MS, joined, wallClock, type Span } from '../core/time/zone.ts';
import { formatCount } from '../core/units.ts';

/** Waiting rows with the same windows. */
export interface Load {
  rows: number;
  /** When they may be sent, in order; undefined: at any time. */
  openings?: readonly Span[] | undefined;
}

interface Forecast {
  /** Rows that wait for a window. */
  waiting: number;
  /** The openings until the last row is sent, each with its number of rows. */
  windows: (Span & { rows: number })[];
  /** When the last row is sent, in milliseconds since the epoch; undefined: after the known openings. */
  doneAt: number | undefined;
}

/**
 * When rows are sent at this rate, if nothing goes wrong and no other batch is sent. Rows without a window go first, and
 * leave the rest of a window to the rows that wait for it.
 */
export function forecast(
  loads: readonly Load[],
  { now, perSecond }: { now: number; perSecond: number },
): Forecast {
  const perMs = perSecond / 1000;
  const left = loads
    .map((load) => ({ ...load }))
    .toSorted((a, b) => Number(a.openings !== undefined) - Number(b.openings !== undefined));
  const windows = joined(left.flatMap(({ openings = [] }) => openings))
    .filter(({ to }) => to > now)
    .map((window) => ({ ...window, rows: 0 }));
  const waiting = left.reduce((sum, { rows, openings }) => sum + (openings === undefined ? 0 : rows), 0);
  const ends = left.flatMap(({ openings = [] }) => openings.flatMap(({ from, to }) => [from, to]));
  const marks = [...new Set([now, ...ends.filter((at) => at > now)])].toSorted((a, b) => a - b);
  let doneAt: number | undefined = left.every(({ rows }) => rows === 0) ? now : undefined;
  for (const [n, from] of marks.entries()) {
    if (doneAt !== undefined) break;
    const room = ((marks[n + 1] ?? Infinity) - from) * perMs;
    let used = 0;
    for (const load of left) {
      if (load.openings?.some((open) => open.from <= from && from < open.to) === false) continue;
      const sent = Math.min(load.rows, room - used);
      load.rows -= sent;
      used += sent;
      const window = windows.find((open) => open.from <= from && from < open.to);
      if (load.openings !== undefined && window !== undefined) window.rows += sent;
    }
    if (left.every(({ rows }) => rows < 1e-6)) doneAt = Math.ceil(from + used / perMs);
  }
  const shares = windows.map((window) => ({ ...window, rows: Math.floor(window.rows + 1e-6) }));
  return { waiting, windows: shares.slice(0, shares.findLastIndex(({ rows }) => rows > 0) + 1), doneAt };
}

const ORDINALS = 'first second third fourth fifth sixth seventh eighth ninth tenth'.split(' ');
const NIGHT = { earliest: 18, latest: 6, longest: 14 };
/** A later opening is not tonight, but tomorrow night. */
const TONIGHT_MS = 18 * 3_600_000;

/** `4,210 of 6,000 rows fit in tonight's window at 2.3/s; done in the third night, 24 Nov 02:10 Asia/Shanghai` */
export function formatForecast(
  { waiting, windows, doneAt }: Forecast,
  { now, perSecond, zone, known }: { now: number; perSecond: number; zone: string; known: Span },
): string {
  const [first] = windows;
  const speed = `at ${formatRate(perSecond)}`;
  if (waiting === 0 && doneAt !== undefined) return `done ${formatMoment(zone, doneAt)} ${speed}`;
  const days = Math.round((known.to - known.from) / DAY_MS);
  if (first === undefined)
    return `${waiting === 1 ? 'the row does not fit' : `none of ${formatCount(waiting)} rows fits`} in a window of the next ${days} days ${speed}`;
  const nights = windows.every((window) => isNight(window, zone));
  const soon = nights && first.from - now < TONIGHT_MS;
  const next = soon ? "tonight's window" : first.from <= now ? 'this window' : 'the next window';
  const fit =
    first.rows >= waiting
      ? `${waiting === 1 ? 'the' : 'all'} ${formatCount(waiting)}`
      : `${formatCount(first.rows)} of ${formatCount(waiting)}`;
  const end =
    doneAt === undefined
      ? `not done within ${days} days`
      : `done ${ordinal(windows.length, nights)}${formatMoment(zone, doneAt)}`;
  const rows = waiting === 1 ? 'row fits' : 'rows fit';
  return `${fit} ${rows} in ${next} ${speed}; ${end}`;
}

/** `12/s`, `2.3/s`, `1.7/m` */
function formatRate(perSecond: number): string {
  const [n, unit] =
    perSecond >= 1 ? [perSecond, 's'] : perSecond >= 1 / 60 ? [perSecond * 60, 'm'] : [perSecond * 3600, 'h'];
  return `${n.toFixed(n < 10 ? 1 : 0)}/${unit}`;
}

function isNight({ from, to }: Span, zone: string): boolean {
  const hour = new Date(wallClock(zone, from)).getUTCHours();
  return (hour >= NIGHT.earliest || hour < NIGHT.latest) && to - from <= NIGHT.longest * 3_600_000;
}

function ordinal(n: number, nights: boolean): string {
  return n < 2 ? '' : `in the ${ORDINALS[n - 1] ?? `${n}th`} ${nights ? 'night' : 'window'}, `;
}

/** `24 Nov 02:10 Asia/Shanghai` */
function formatMoment(zone: string, at: number): string {
  const wall = new Date(wallClock(zone, at)).toUTCString();
  return `${wall.slice(5, 11).replace(/^0/, '')} ${wall.slice(17, 22)} ${zone}`;
}

/** The windows of a batch; null: none. */
export interface Windows {
  batch: Window | null;
  offPeak: Window | null;
}

/** When the waiting rows of a batch will be sent. */
export interface Outlook extends Partial<Forecast> {
  now: number;
  rows: number;
  /** How many of these rows wait for a window. */
  waiting: number;
  /** Rows a second; null: neither the rate nor the rest is known. */
  perSecond: number | null;
  /** When it would be done if sending took no time; undefined: no window opens for some rows. */
  earliest: number | undefined;
  /** One line for people. */
  told: string;
}

/** The windows of a batch as the ledger has them. @throws VidbatchError when a later vidbatch has written them. */
async function windowsOf(db: Queryable, batchId: number | null): Promise<Windows> {
  const known = await readWindows(db, batchId);
  const read = (text: string | null): Window | null =>
    text === null ? null : parseWindow('the ledger', text);
  return { batch: read(known.batch), offPeak: read(known.offPeak) };
}

/**
 * The outlook of a batch under its windows. `perSecond`: the rate of the user; without it, the rate at which the last rows
 * were accepted. `offPeak`: another window for off-peak rows.
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

/** The rate and the windows that a person asks for. Without them, those of the ledger apply. */
export interface Asked extends Partial<Windows> {
  perSecond?: number;
}

/** When the rows of a plan would be sent. Without a ledger, there are no windows and no measured rate. */
export async function readForecast(
  db: Queryable | undefined,
  { batchId, groups }: { batchId: number | null; groups: readonly Group[] },
  { perSecond, ...windows }: Asked,
): Promise<Outlook> {
  const rowsOf = (offPeak: boolean): number =>
    groups.reduce((sum, group) => sum + (group.offPeak === offPeak ? group.toSend : 0), 0);
  const known = db === undefined ? { batch: null, offPeak: null } : await windowsOf(db, batchId);
  const measured = db === undefined || batchId === null ? null : await readSendRate(db, batchId);
  return outlook(
    { normal: rowsOf(false), offPeak: rowsOf(true) },
    { ...known, ...windows },
    { now: db === undefined ? Date.now() : await ledgerNow(db), perSecond: perSecond ?? measured },
  );
}

/** When these rows are sent, under these windows and at this rate. */
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
  return { ...base, ...seen, told: formatForecast(seen, { now, perSecond, zone, known }) };
}

/** For `--json`: times are RFC 3339. */
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
