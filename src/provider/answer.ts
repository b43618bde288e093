import { oneLine, storable } from '../core/text.ts';
import { parseHttpDate, parseRetryAfter } from '../core/retry-policy.ts';
import { asObject, parseObject } from './answer-body.ts';

/** The part of an HTTP answer that arrived. */
export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The decodable part of the body. */
  body: string;
  /** The bytes of the body, if they are not all text. */
  raw?: Buffer;
  /** Why the body is incomplete, when it is. */
  cutOff?: Problem;
}

/** `code` is for scripts, `message` for people. */
export interface Problem {
  code: string;
  message: string;
}

/** The first value of a header. */
export function headerOf(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const BODY_LIMIT = 65_536;
/** The prefix of bytes that are not text. */
const BYTES = 'base64:';

/** The body to store, at most 64 KiB, without the API key: text, or the bytes as base64. */
export function storedBody({ body, raw }: Answer, redact: (text: string) => string): string {
  if (raw === undefined) return storable(redact(body), BODY_LIMIT);
  const bytes = Buffer.from(redact(raw.toString('latin1')), 'latin1');
  return BYTES + bytes.subarray(0, Math.floor(((BODY_LIMIT - BYTES.length) / 4) * 3)).toString('base64');
}

const REQUEST_IDS = ['x-oneapi-request-id', 'x-request-id', 'request-id', 'x-trace-id', 'cf-ray'];

/** `x-request-id=abc cf-ray=def`, for the provider's support. */
export function requestIdOf(answer: Answer): string | undefined {
  const found = REQUEST_IDS.flatMap((name) => {
    const value = headerOf(answer, name);
    return value === undefined || value === '' ? [] : [`${name}=${value.slice(0, 128)}`];
  });
  return found.length === 0 ? undefined : found.join(' ');
}

/** Headers that may hold a secret. */
const SECRET = new Set(['set-cookie', 'set-cookie2', 'cookie', 'authorization', 'proxy-authorization']);
const HEADERS_LIMIT = 4096;

/**
 * The headers to store, at most 4 KiB as JSON: the longest are left out first. `redact` removes the API key before a
 * value is cut.
 */
export function headersOf(
  answer: Answer,
  redact: (text: string) => string,
): Readonly<Record<string, string>> | undefined {
  const lines = Object.entries(answer.headers).flatMap(([name, value]): [string, string][] => {
    if (value === undefined || SECRET.has(name)) return [];
    const text = Array.isArray(value) ? value.join(', ') : value;
    return [[oneLine(redact(name), 100), oneLine(redact(text), 500)]];
  });
  const all = Object.fromEntries(lines);
  if (Buffer.byteLength(JSON.stringify(all)) <= HEADERS_LIMIT) return lines.length === 0 ? undefined : all;
  let room = HEADERS_LIMIT - 2;
  const kept = lines
    .toSorted(([, a], [, b]) => a.length - b.length)
    .filter(([name, value]) => {
      room -= Buffer.byteLength(`${JSON.stringify(name)}:${JSON.stringify(value)},`);
      return room >= 0;
    });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** The wait that the provider asks for, in milliseconds, at most one hour. */
export function waitOf(answer: Answer, now: number): number | undefined {
  return retryAfter(answer, now) ?? waitOfBody(answer, now) ?? waitOfLimit(answer, now);
}

/** A date is compared with the `Date` of the answer, which comes from the same clock. */
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

/** Larger numbers are seconds since the epoch; above 1000 times this, milliseconds. */
const MOMENT = 1_000_000_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds until a limit ends. The header may hold seconds (`4`, `4.5`), a duration (`4s`, `1m30s`, `120ms`), a
 * Unix time, or a date.
 */
function parseReset(value: string, now: number): number | undefined {
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
