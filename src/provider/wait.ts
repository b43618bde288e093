import { parseHttpDate, parseRetryAfter } from '../core/retry.ts';
import { headerOf, type Answer } from './answer.ts';
import { asObject, parseObject } from './refusal.ts';

/** How long the provider asks to wait, in milliseconds, 0 to one hour. */
export function waitOf(answer: Answer, now: number): number | undefined {
  return retryAfter(answer, now) ?? waitOfBody(answer, now) ?? waitOfLimit(answer, now);
}

/** A date is compared with the answer's own `Date`, which comes from the same clock. */
function retryAfter(answer: Answer, now: number): number | undefined {
  const exact = headerOf(answer, 'retry-after-ms')?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(exact)) return bounded(Number(exact));
  const value = headerOf(answer, 'retry-after');
  const theirs = parseHttpDate(headerOf(answer, 'date') ?? '');
  return value === undefined
    ? undefined
    : parseRetryAfter(value, { now: Number.isNaN(theirs) ? now : theirs });
}

/** In seconds, as in the header. */
function waitOfBody({ body }: Answer, now: number): number | undefined {
  const object = parseObject(body);
  for (const part of [object, asObject(object?.['error']), asObject(object?.['data'])]) {
    const ms = part?.['retry_after_ms'];
    if (typeof ms === 'number') return bounded(ms);
    const said = part?.['retry_after'];
    if (typeof said !== 'number' && typeof said !== 'string') continue;
    const wait = parseRetryAfter(String(said), { now });
    if (wait !== undefined) return wait;
  }
  return undefined;
}

/** The reset of an exhausted limit. Many answers have this header; it only counts under a 429. */
function waitOfLimit(answer: Answer, now: number): number | undefined {
  if (answer.status !== 429) return undefined;
  for (const suffix of ['-requests', '']) {
    const left = headerOf(answer, `x-ratelimit-remaining${suffix}`)?.trim() ?? '';
    const reset = headerOf(answer, `x-ratelimit-reset${suffix}`);
    if (reset === undefined || Number(left) > 0) continue;
    const wait = parseReset(reset, now);
    if (wait !== undefined) return wait;
  }
  return undefined;
}

/** Larger numbers are seconds since the epoch; above 1000 times it, milliseconds. */
const MOMENT = 1_000_000_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `4`, `4.5`, `4s`, `1m30s`, `120ms`, a moment as a number, or a date. */
export function parseReset(value: string, now: number): number | undefined {
  const text = value.trim();
  if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
    return bounded(
      parts.reduce((sum, [, number, unit = 's']) => sum + Number(number) * (UNITS[unit] ?? 0), 0),
    );
  }
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (number >= MOMENT * 1000) return bounded(number - now);
  if (number >= MOMENT) return bounded(number * 1000 - now);
  return (
    parseRetryAfter(text, { now }) ?? bounded(Date.parse(/^\d{4}-\d\d-\d\dT/.test(text) ? text : '') - now)
  );
}

const LONGEST_MS = 3_600_000;

function bounded(ms: number): number | undefined {
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_MS, Math.max(0, Math.ceil(ms)));
}
