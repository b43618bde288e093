import { parseHttpDate, parseRetryAfter } from '../retry.ts';
import { oneLine } from './text.ts';

/** An HTTP answer, as far as it came. */
export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
  /** Why the body is incomplete, when it is. */
  cutOff?: Problem;
}

/** What broke, with a code for scripts and one line for people. */
export interface Problem {
  code: string;
  message: string;
}

/** The first value of a header. */
export function headerOf(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/**
 * `Retry-After` in milliseconds, 0 to one hour. A date is measured against the answer's own `Date`, because
 * both come from the same clock; `now` is for answers without one.
 */
export function retryAfterMs(answer: Answer, now: number): number | undefined {
  const value = headerOf(answer, 'retry-after');
  if (value === undefined) return undefined;
  const theirs = parseHttpDate(headerOf(answer, 'date') ?? '');
  return parseRetryAfter(value, { now: Number.isNaN(theirs) ? now : theirs });
}

const REQUEST_IDS = ['x-oneapi-request-id', 'x-request-id', 'request-id', 'x-trace-id', 'cf-ray'];

/** `x-request-id=abc cf-ray=def`: what the provider's support asks for. */
export function requestIdOf(answer: Answer): string | undefined {
  const found = REQUEST_IDS.flatMap((name) => {
    const value = headerOf(answer, name);
    return value === undefined || value === '' ? [] : [`${name}=${value.slice(0, 128)}`];
  });
  return found.length === 0 ? undefined : found.join(' ');
}

/** Headers that hold a secret of a session, or ours in return. */
const SECRET = new Set(['set-cookie', 'set-cookie2', 'cookie', 'authorization', 'proxy-authorization']);
const HEADERS_LIMIT = 4096;

/**
 * What the answer's head says of who answered, and when: evidence for people, at most 4 KiB as JSON. `redact` takes
 * the API key out of each value before it is cut. What does not fit is left out, a long value after the short ones.
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
  let room = HEADERS_LIMIT - 2;
  const kept = lines
    .toSorted(([, a], [, b]) => a.length - b.length)
    .filter(([name, value]) => {
      room -= Buffer.byteLength(`${JSON.stringify(name)}:${JSON.stringify(value)},`);
      return room >= 0;
    });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
