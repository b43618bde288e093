import { DAY_MS, offsetAt } from '../../core/time/zone.ts';

/**
 * `zoneless`: a local time whose zone is unknown. `ambiguous`: the clocks of the zone showed it twice, or never. `date`: a day
 * without a time.
 */
type ReadTime =
  | { kind: 'time'; at: number; absolute: boolean }
  | { kind: 'zoneless' | 'ambiguous' | 'date' | 'unreadable' };

const WALL =
  /^(?<year>\d{4})[-/.年](?<month>\d{1,2})[-/.月](?<day>\d{1,2})日?(?:[T\s]+(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<part>\d{1,9}))?)?\s*(?<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?$/i;

/** Unix seconds, with or without a fraction, or unix milliseconds. Other lengths are not a time. */
const SECONDS = /^\d{10}(?:\.\d+)?$/;
const MILLISECONDS = /^\d{13}$/;

/** Reads a time of a provider's file; `zone` is that of `--tz`. */
export function readTime(text: string, zone: string | undefined): ReadTime {
  const trimmed = text.trim();
  if (SECONDS.test(trimmed)) return absolute(Number(trimmed) * 1000);
  if (MILLISECONDS.test(trimmed)) return absolute(Number(trimmed));
  const parts = WALL.exec(trimmed)?.groups;
  if (parts === undefined) return { kind: 'unreadable' };
  const wall = wallOf(parts);
  if (wall === undefined) return { kind: 'unreadable' };
  if (parts['hour'] === undefined) return { kind: 'date' };
  const offset = parts['zone'];
  if (offset !== undefined) return absolute(wall - offsetOf(offset));
  if (zone === undefined) return { kind: 'zoneless' };
  const [at, ...more] = instants(wall, zone);
  return at === undefined || more.length > 0 ? { kind: 'ambiguous' } : { kind: 'time', at, absolute: false };
}

function absolute(at: number): ReadTime {
  return { kind: 'time', at: Math.floor(at), absolute: true };
}

/** The local time as if it were UTC; undefined: no clock ever shows it. */
function wallOf(parts: Record<string, string | undefined>): number | undefined {
  const of = (name: string): number => Number(parts[name] ?? 0);
  const [year, month, day] = [of('year'), of('month'), of('day')];
  const [hour, minute, second] = [of('hour'), of('minute'), of('second')];
  const ms = Math.floor(Number(`0.${parts['part'] ?? '0'}`) * 1000);
  const wall = Date.UTC(year, month - 1, day, hour, minute, second, ms);
  const date = new Date(wall);
  const real = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60;
  return real && second < 60 ? wall : undefined;
}

function offsetOf(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(zone) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60_000;
}

/** The moments at which the clocks of the zone show it. */
function instants(wall: number, zone: string): number[] {
  const offsets = new Set([wall - DAY_MS, wall + DAY_MS].map((at) => offsetAt(zone, at)));
  return [...offsets].map((offset) => wall - offset).filter((at) => at + offsetAt(zone, at) === wall);
}
