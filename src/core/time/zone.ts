import { IANAZone } from 'luxon';
import { nearest } from '../suggestion.ts';

/** A half-open span: milliseconds since the epoch, or of local time as if it were UTC. */
export interface Span {
  from: number;
  to: number;
}

/** A span in which a zone keeps one offset from UTC, in milliseconds. */
export interface Stretch extends Span {
  offset: number;
}

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** No zone changes its offset twice in this time. */
const STEP_MS = 6 * HOUR_MS;

/** The zone as the tz database spells it; undefined: no such zone. */
export function findZone(name: string): string | undefined {
  const known = Intl.supportedValuesOf('timeZone').find((one) => one.toLowerCase() === name.toLowerCase());
  if (known !== undefined) return known;
  // Old names (`Asia/Calcutta`) are valid, but not listed. Names without a place (`EST`, `+08:00`) are refused: EST usually
  // means New York, also in summer.
  if (name.toUpperCase() === 'UTC') return 'UTC';
  return name.includes('/') && IANAZone.isValidZone(name) ? name : undefined;
}

/** The zone that was probably meant: `Shanghai`, `Asia/Shangai`. */
export function nearestZone(name: string): string | undefined {
  const names = Intl.supportedValuesOf('timeZone');
  const placeOf = (zone: string): string => zone.slice(zone.lastIndexOf('/') + 1).toLowerCase();
  const place = placeOf(name);
  const far = Math.ceil(place.length / 4);
  const same = nearest(
    name,
    names.filter((zone) => placeOf(zone) === place),
  );
  if (same !== undefined) return same;
  return name.includes('/')
    ? nearest(name, names, far)
    : names.find((zone) => placeOf(zone) === nearest(place, names.map(placeOf), far));
}

/** In milliseconds ahead of UTC. */
export function offsetAt(zone: string, at: number): number {
  return IANAZone.create(zone).offset(at) * 60_000;
}

/** The local time at an instant, as if it were UTC. */
export function wallClock(zone: string, at: number): number {
  return at + offsetAt(zone, at);
}

/** The stretches of a zone that together cover the span. */
export function stretches(zone: string, { from, to }: Span): Stretch[] {
  const found: Stretch[] = [];
  let begin = from;
  let offset = offsetAt(zone, from);
  for (let at = from; at < to; at += STEP_MS) {
    const next = Math.min(at + STEP_MS, to);
    const later = offsetAt(zone, next);
    if (later === offset) continue;
    const change = changeBetween(zone, at, next);
    found.push({ from: begin, to: change, offset });
    begin = change;
    offset = later;
  }
  if (begin < to) found.push({ from: begin, to, offset });
  return found;
}

/** The instant at which the offset changes to that of `to`. */
function changeBetween(zone: string, from: number, to: number): number {
  const after = offsetAt(zone, to);
  let [low, high] = [from, to];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(zone, middle) === after) high = middle;
    else low = middle;
  }
  return high;
}

/** The instants at which the local time is in `wall`: no span for a skipped time, two spans for a repeated time. */
export function instantsOf(of: readonly Stretch[], wall: Span): Span[] {
  return of.flatMap(({ from, to, offset }) => {
    const span = { from: Math.max(from, wall.from - offset), to: Math.min(to, wall.to - offset) };
    return span.from < span.to ? [span] : [];
  });
}

/** In order; spans that touch or overlap become one. */
export function joined(spans: readonly Span[]): Span[] {
  const all: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last !== undefined && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else all.push({ ...span });
  }
  return all;
}

/** The intersection. */
export function common(some: readonly Span[], others: readonly Span[]): Span[] {
  return joined(
    some.flatMap((one) =>
      others.flatMap((other) => {
        const span = { from: Math.max(one.from, other.from), to: Math.min(one.to, other.to) };
        return span.from < span.to ? [span] : [];
      }),
    ),
  );
}
