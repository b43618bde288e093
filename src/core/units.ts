import { usageError } from './errors.ts';
import { excerpt } from './text.ts';

/** `10,000` */
export function formatCount(n: number): string {
  return n.toLocaleString('en');
}

/** `1 row`, `1,234 rows`. `many`: a plural that does not end in s. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

/** The word for one, or for several. */
export function either(n: number, one: string, several: string): string {
  return n === 1 ? one : several;
}

/** `1h 02m`, `3m 20s`, `12s` */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h ${two(Math.floor((seconds % 3600) / 60))}m`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s` : `${seconds}s`;
}

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;

/** How far a moment is from another: as a duration, and from 48 hours on in days. `2h 05m`, `6 days` */
export function formatDistance(ms: number): string {
  const hours = Math.max(0, ms) / HOUR_MS;
  return hours < 2 * DAY_HOURS ? formatDuration(ms) : `${formatCount(Math.round(hours / DAY_HOURS))} days`;
}

/** `2026-11-30 14:32:05 UTC`: for readers who may be anywhere. */
export function formatUtc(at: Date | number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

const UNITS = ['KB', 'MB', 'GB', 'TB'];

/** `999 bytes`, `1.5 MB`, `12 GB`: in steps of 1024, as `parseSize` reads them. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  let size = bytes / 1024;
  let unit = 0;
  for (; size >= 1023.95 && unit < UNITS.length - 1; unit += 1) size /= 1024;
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

/** `120s`, `500ms`, `2m`, `1h`, or plain seconds → milliseconds. */
export function parseDuration(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text.trim());
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'];
  const value = Math.round(Number(match?.[1]) * (unit ?? Number.NaN));
  if (!Number.isSafeInteger(value) || value <= 0 || value > DAY_HOURS * HOUR_MS) {
    throw usageError(
      'BAD_DURATION',
      `${name}: "${text}" is not a duration from 1ms to 24h, such as 500ms, 120s, 2m or 1h`,
    );
  }
  return value;
}

/** `500000`, `64KB`, `20MB`, `2GB`; also `MiB` and the like, which mean the same → bytes. */
export function parseSize(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:(k|m|g|t)i?)?b?$/i.exec(text.trim());
  const unit = 1024 ** (match?.[2] === undefined ? 0 : 'kmgt'.indexOf(match[2].toLowerCase()) + 1);
  const value = Math.round(Number(match?.[1]) * unit);
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw usageError('BAD_SIZE', `${name}: "${text}" is not a size such as 500KB, 20MB or 2GB`);
  }
  return value;
}

export function parseCount(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  const digits = min < 0 ? /^-?\d+$/ : /^\d+$/;
  if (!digits.test(text.trim()) || value < min || value > max) {
    throw usageError('BAD_NUMBER', `${name}: "${text}" is not a whole number from ${min} to ${max}`);
  }
  return value;
}

/** @throws VidbatchError exit 2 under `code` for a text that is not one of the words. `name`: of the flag. */
export function parseOneOf<Word extends string>(
  code: string,
  name: string,
  text: string,
  words: readonly Word[],
): Word {
  const found = words.find((word) => word === text.trim());
  if (found !== undefined) return found;
  throw usageError(code, `${name}: ${excerpt(text)} is not one of ${words.join(', ')}`);
}
