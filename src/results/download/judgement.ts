import { parseRetryAfter } from '../../core/retry-policy.ts';

/** A part of a video that is on the disk already. */
export interface Part {
  size: number;
  /** The ETag or the date of this version of the video. Null: unknown, so a download that stopped begins again. */
  validator: string | null;
  /** Bytes of the whole, where known. */
  total: number | null;
}

/** The head of an answer. */
export interface Head {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What follows from the head of an answer to a GET of a video. */
export type Judgement =
  /** The whole comes. `total`: the bytes that travel; null: unknown. */
  | { kind: 'whole'; total: number | null; validator: string | null; encoding: string | null }
  /** What is missing of the part comes. */
  | { kind: 'rest'; total: number }
  /** The part cannot be continued: ask again from the beginning. */
  | { kind: 'restart'; reason: string }
  | { kind: 'redirect'; to: string }
  /** Nothing is there, or no longer at this URL. */
  | { kind: 'dead'; reason: string }
  | { kind: 'again'; reason: string; afterMs?: number }
  | { kind: 'refused'; code: string; reason: string };

/** `maxBytes`: the most that a video may have; `now`: milliseconds since the epoch. */
export function judgeHead(head: Head, part: Part, limits: { maxBytes: number; now: number }): Judgement {
  const { status } = head;
  if (status === 200) return judgeWhole(head, limits.maxBytes);
  if (status === 206) return judgeRest(head, part);
  if (status === 416)
    return { kind: 'restart', reason: 'the part on the disk cannot be continued (HTTP 416)' };
  if ([301, 302, 303, 307, 308].includes(status)) {
    const to = one(head, 'location');
    if (to !== undefined) return { kind: 'redirect', to };
    return { kind: 'refused', code: 'BAD_REDIRECT', reason: `HTTP ${status} without a Location` };
  }
  if ([401, 403, 404, 410].includes(status)) return { kind: 'dead', reason: `HTTP ${status}` };
  if ([408, 425, 429].includes(status) || status >= 500) {
    const afterMs = parseRetryAfter(one(head, 'retry-after') ?? '', { now: limits.now });
    return { kind: 'again', reason: `HTTP ${status}`, ...(afterMs === undefined ? {} : { afterMs }) };
  }
  return { kind: 'refused', code: 'REFUSED', reason: `HTTP ${status}` };
}

const ENCODINGS = new Set(['gzip', 'x-gzip', 'deflate', 'br']);

function judgeWhole(head: Head, maxBytes: number): Judgement {
  const length = one(head, 'content-length');
  const total = length !== undefined && /^\d+$/.test(length) ? Number(length) : null;
  if (total !== null && total > maxBytes) return tooLarge(maxBytes, total);
  const written = one(head, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
  const encoding = written === 'identity' || written === '' ? null : written;
  if (encoding !== null && !ENCODINGS.has(encoding)) {
    return {
      kind: 'refused',
      code: 'ENCODING',
      reason: `the answer has an encoding that was not requested: ${encoding}`,
    };
  }
  // Ranges count the bytes that travel, so a decoded part cannot be continued.
  return { kind: 'whole', total, encoding, validator: encoding === null ? validatorOf(head) : null };
}

export function tooLarge(maxBytes: number, bytes?: number): Extract<Judgement, { kind: 'refused' }> {
  const what = bytes === undefined ? `more than ${maxBytes}` : String(bytes);
  return {
    kind: 'refused',
    code: 'TOO_LARGE',
    reason: `it has ${what} bytes, and --max-size is ${maxBytes}`,
  };
}

function judgeRest(head: Head, part: Part): Judgement {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(one(head, 'content-range') ?? '');
  const [first, last, total] = range === null ? [] : range.slice(1).map(Number);
  const fits =
    part.size > 0 &&
    total !== undefined &&
    first === part.size &&
    last === total - 1 &&
    (part.total === null || part.total === total) &&
    (one(head, 'content-encoding') ?? 'identity') === 'identity';
  return fits
    ? { kind: 'rest', total }
    : { kind: 'restart', reason: 'the answer has another range than the request' };
}

/** A strong validator: a weak ETag does not say that the bytes are the same (RFC 9110, 13.1.5). */
function validatorOf(head: Head): string | null {
  const etag = one(head, 'etag')?.trim();
  if (etag?.startsWith('"') === true) return etag;
  return one(head, 'last-modified') ?? null;
}

/** The headers that ask for what is missing; none: for the whole. */
export function rangeOf(part: Part): Record<string, string> {
  if (part.size === 0 || part.validator === null) return {};
  return { range: `bytes=${part.size}-`, 'if-range': part.validator };
}

export function one({ headers }: Head, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
