import { oneLine, storable } from '../core/text.ts';

/** An HTTP answer, as far as it came. */
export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As text, as far as its bytes can be read. */
  body: string;
  /** The bytes of the body, where the text does not hold all that they say. */
  raw?: Buffer;
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

const BODY_LIMIT = 65_536;
/** Before bytes that are no text. */
const BYTES = 'base64:';

/**
 * The body as it is stored, at most 64 KiB, without the API key: as text, or the bytes as base64. In bytes, too, the
 * key would stand as ASCII.
 */
export function storedBody({ body, raw }: Answer, redact: (text: string) => string): string {
  if (raw === undefined) return storable(redact(body), BODY_LIMIT);
  const bytes = Buffer.from(redact(raw.toString('latin1')), 'latin1');
  return BYTES + bytes.subarray(0, Math.floor(((BODY_LIMIT - BYTES.length) / 4) * 3)).toString('base64');
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
