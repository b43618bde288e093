import { count } from '../core/format.ts';
import { DAY_MS, joined, wallClock } from '../core/time/zone.ts';
import type { Span } from '../core/time/zone.ts';

/** Rows of one kind that wait to be sent. */
export interface Load {
  rows: number;
  /** When they may be sent, in order; undefined: at any time. */
  openings?: readonly Span[] | undefined;
}

export interface Forecast {
  /** Rows that wait for a window. */
  waiting: number;
  /** Openings up to the one in which it is done, and how many of the rows that wait for them are sent in each. */
  windows: (Span & { rows: number })[];
  /** When the last row of all is sent, milliseconds since the epoch; undefined: not while it is known when windows open. */
  doneAt: number | undefined;
}

/**
 * When rows are sent, at so many a second in all and from `now` on, if nothing goes wrong and no other batch is in the
 * way. Rows that may go at any time go first: whatever they leave of a window is for those that wait for it.
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

const ORDINALS = [
  'first',
  'second',
  'third',
  'fourth',
  'fifth',
  'sixth',
  'seventh',
  'eighth',
  'ninth',
  'tenth',
];
const NIGHT = { earliest: 18, latest: 6, longest: 14 };
/** What opens later than that is not tonight, but tomorrow night. */
const TONIGHT_MS = 18 * 3_600_000;

/** `4,210 of 6,000 rows fit in tonight's window at 2.3/s; done in the third night, 24 Nov 02:10 Asia/Shanghai` */
export function describeForecast(
  { waiting, windows, doneAt }: Forecast,
  { now, perSecond, zone, known }: { now: number; perSecond: number; zone: string; known: Span },
): string {
  const [first] = windows;
  const speed = `at ${speedOf(perSecond)}`;
  if (waiting === 0 && doneAt !== undefined) return `done ${momentIn(zone, doneAt)} ${speed}`;
  const days = Math.round((known.to - known.from) / DAY_MS);
  if (first === undefined)
    return `${waiting === 1 ? 'the row does not fit' : `none of ${count(waiting)} rows fits`} in a window of the next ${days} days ${speed}`;
  const nights = windows.every((window) => isNight(window, zone));
  const soon = nights && first.from - now < TONIGHT_MS;
  const next = soon ? "tonight's window" : first.from <= now ? 'this window' : 'the next window';
  const fit =
    first.rows >= waiting
      ? `${waiting === 1 ? 'the' : 'all'} ${count(waiting)}`
      : `${count(first.rows)} of ${count(waiting)}`;
  const end =
    doneAt === undefined
      ? `not done within ${days} days`
      : `done ${whichOf(windows.length, nights)}${momentIn(zone, doneAt)}`;
  const rows = waiting === 1 ? 'row fits' : 'rows fit';
  return `${fit} ${rows} in ${next} ${speed}; ${end}`;
}

/** `12/s`, `2.3/s`, `1.7/m` */
function speedOf(perSecond: number): string {
  const [n, unit] =
    perSecond >= 1 ? [perSecond, 's'] : perSecond >= 1 / 60 ? [perSecond * 60, 'm'] : [perSecond * 3600, 'h'];
  return `${n.toFixed(n < 10 ? 1 : 0)}/${unit}`;
}

function isNight({ from, to }: Span, zone: string): boolean {
  const hour = new Date(wallClock(zone, from)).getUTCHours();
  return (hour >= NIGHT.earliest || hour < NIGHT.latest) && to - from <= NIGHT.longest * 3_600_000;
}

function whichOf(n: number, nights: boolean): string {
  return n < 2 ? '' : `in the ${ORDINALS[n - 1] ?? `${n}th`} ${nights ? 'night' : 'window'}, `;
}

/** `24 Nov 02:10 Asia/Shanghai` */
function momentIn(zone: string, at: number): string {
  const wall = new Date(wallClock(zone, at)).toUTCString();
  return `${wall.slice(5, 11).replace(/^0/, '')} ${wall.slice(17, 22)} ${zone}`;
}
