import { usageError } from '../core/errors.ts';
import { DAY_MS, offsetAt } from '../core/time/zone.ts';
import { readTime } from '../results/audit/time.ts';

/**
 * A date means its first moment. A time without a zone is in `zone`, which is UTC by default, because every time is
 * shown in UTC.
 */
export function parseTime(name: string, text: string, zone = 'UTC'): Date {
  const day = /^\d{4}-\d\d-\d\d$/.test(text.trim()) ? `${text.trim()}T00:00` : text;
  const read = readTime(day, zone);
  if (read.kind === 'time') return new Date(read.at);
  throw usageError('BAD_TIME', `${name}: "${text}" is not a time such as 2026-03-01 or 2026-03-01T18:00Z`);
}

/** `today` and `yesterday` begin at midnight of the zone; `12h` and `7d` count back from now; otherwise as `parseTime`. */
export function parseSince(name: string, text: string, zone: string, now = Date.now()): Date {
  const word = text.trim().toLowerCase();
  const [, number, unit] = /^(\d{1,5})(m|h|d)$/.exec(word) ?? [];
  if (number !== undefined)
    return new Date(now - Number(number) * (unit === 'd' ? DAY_MS : unit === 'h' ? 3_600_000 : 60_000));
  if (word !== 'today' && word !== 'yesterday') return parseTime(name, text, zone);
  const local = now + offsetAt(zone, now);
  const day = new Date(local - (word === 'yesterday' ? DAY_MS : 0)).toISOString().slice(0, 10);
  return parseTime(name, day, zone);
}

/** The same in UTC; undefined for a text that is not a time. */
export function parseMoment(text: string): Date | undefined {
  try {
    return parseSince('time', text, 'UTC');
  } catch {
    return undefined;
  }
}
