import { oneLine, storable } from '../core/text.ts';

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

/** `x-request-id=abc cf-ray=def`, for the provider's support. `names`: the headers that may hold one. */
export function requestIdOf(answer: Answer, names: readonly string[]): string | undefined {
  const found = names.flatMap((name) => {
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
