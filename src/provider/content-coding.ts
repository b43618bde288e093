import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from 'node:zlib';
import { messageOf } from '../core/errors.ts';
import type { Problem } from './answer.ts';

interface DecodedBody {
  text: string;
  /** Why the text is not complete. */
  problem?: Problem;
  /** The bytes, if the text does not hold all of them. */
  raw?: Buffer;
}

/** The code of a problem: the bytes arrived, and cannot be decoded. */
export const UNDECODED = 'CONTENT_CODING';

/** A proxy adds one coding; more than a few are an attack. */
const MOST_CODINGS = 4;

type Inflate = (bytes: Buffer, limit: number, cut: boolean) => Buffer;

/** `flush`: how the library reads bytes that were cut off. */
const inflater =
  (
    inflate: (bytes: Buffer, options: { maxOutputLength: number; finishFlush?: number }) => Buffer,
    flush: number = constants.Z_SYNC_FLUSH,
  ): Inflate =>
  (bytes, maxOutputLength, cut) =>
    inflate(bytes, { maxOutputLength, ...(cut ? { finishFlush: flush } : {}) });

/** `deflate` is zlib by the standard (RFC 9110, 8.4.1.2), and without its header from some servers. */
const CODINGS: Readonly<Record<string, readonly Inflate[]>> = {
  gzip: [inflater(gunzipSync)],
  'x-gzip': [inflater(gunzipSync)],
  deflate: [inflater(inflateSync), inflater(inflateRawSync)],
  br: [inflater(brotliDecompressSync, constants.BROTLI_OPERATION_FLUSH)],
  zstd: [inflater(zstdDecompressSync, constants.ZSTD_e_flush)],
};

/** The first bytes of a coding that no text begins with. */
const MAGIC: readonly [coding: string, bytes: Buffer][] = [
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
];

/**
 * Decodes `Content-Encoding`, the last coding first, and UTF-8. If the header is wrong, the bytes are decoded as what
 * they certainly are. No step gives more than `limit` bytes. Never throws.
 */
export function decodeBody(
  bytes: Buffer,
  contentEncoding: string | string[] | undefined,
  limit: number,
): DecodedBody {
  const codings = [contentEncoding ?? '']
    .flat()
    .join(',')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity');
  if (bytes.length === 0) return { text: '' };
  const declared = codings.length === 0 ? { bytes } : undo(bytes, codings.toReversed(), limit);
  const read = 'bytes' in declared ? undoSniffed(declared, limit) : declared;
  if ('bytes' in read) return textOf(read);
  if (read.tooLarge) return undecoded(bytes, read.why);
  const plain = undoSniffed({ bytes }, limit);
  const text = 'bytes' in plain ? textOf(plain) : undefined;
  return text === undefined || text.raw !== undefined || hasControls(text.text)
    ? undecoded(bytes, read.why)
    : text;
}

/** `cut`: the bytes end before the coding does. */
type Undone = { bytes: Buffer; cut?: string } | { why: string; tooLarge: boolean };

function undo(bytes: Buffer, codings: readonly string[], limit: number): Undone {
  if (codings.length > MOST_CODINGS)
    return { why: `${codings.length} codings, and at most ${MOST_CODINGS} are undone`, tooLarge: true };
  let undone: Undone = { bytes };
  for (const coding of codings) {
    const next = undoOne(undone.bytes, coding, limit);
    if (!('bytes' in next)) return next;
    undone = { ...undone, ...next };
  }
  return undone;
}

function undoOne(bytes: Buffer, coding: string, limit: number): Undone {
  const known = Object.hasOwn(CODINGS, coding) ? (CODINGS[coding] ?? []) : [];
  let why = `${coding} is not a known coding`;
  for (const cut of [false, true]) {
    for (const inflate of known) {
      try {
        const inflated = inflate(bytes, limit, cut);
        if (!cut) return { bytes: inflated };
        if (inflated.length > 0) return { bytes: inflated, cut: `${coding}: it ends too early` };
      } catch (error) {
        if (isTooLarge(error))
          return { why: `${coding}: it is larger than ${limit} bytes when inflated`, tooLarge: true };
        if (!cut) why = `${coding}: ${messageOf(error)}`;
      }
    }
  }
  return { why, tooLarge: false };
}

/** Some proxies compress and do not say so. */
function undoSniffed(undone: Extract<Undone, { bytes: Buffer }>, limit: number): Undone {
  let current = undone;
  for (let n = 0; n < MOST_CODINGS; n += 1) {
    const found = MAGIC.find(([, magic]) => current.bytes.subarray(0, magic.length).equals(magic));
    if (found === undefined) return current;
    const next = undoOne(current.bytes, found[0], limit);
    if (!('bytes' in next)) return next;
    current = { ...current, ...next };
  }
  return { why: `more than ${MOST_CODINGS} codings`, tooLarge: true };
}

function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}

function textOf({ bytes, cut }: Extract<Undone, { bytes: Buffer }>): DecodedBody {
  return {
    text: new TextDecoder().decode(bytes),
    ...(cut === undefined ? {} : { problem: { code: UNDECODED, message: cut } }),
    ...(isUtf8(bytes) ? {} : { raw: bytes }),
  };
}

/** A character that is cut at the end counts as valid. */
function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function hasControls(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- compressed bytes hold them, and text does not
  return /[\0-\x08\x0e-\x1f\x7f]/.test(text);
}

function undecoded(raw: Buffer, why: string): DecodedBody {
  return { text: '', raw, problem: { code: UNDECODED, message: why } };
}
