import { TextDecoder } from 'node:util';
import { faultAt, type Fault } from './entry.ts';

/** Bytes that are not valid in the encoding. */
export interface BadBytes {
  /** 0-based offset of the first bad byte in the file. */
  offset: number;
  encoding: string;
  /** Decoding ended here, after `MAX_BAD_PLACES`. */
  gaveUp: boolean;
}

/** A piece of the decoded file. With `bad`, its last character is U+FFFD and replaces undecodable bytes. */
export interface TextChunk {
  text: string;
  bad?: BadBytes;
}

/** With more bad places, the encoding is wrong, and the search for all of them would take too long. */
const MAX_BAD_PLACES = 100;

/**
 * Decodes a file from byte `skip` on, in constant memory. Undecodable bytes become U+FFFD with their offset, so only their
 * row is refused.
 */
export async function* decodeText(
  bytes: AsyncIterable<Buffer>,
  encoding: string,
  skip: number,
): AsyncGenerator<TextChunk, void, void> {
  const unit = encoding.startsWith('utf-16') ? 2 : 1;
  let decoder = strictDecoder(encoding);
  let offset = 0;
  let places = 0;
  let last: Buffer = Buffer.alloc(0);
  for await (const piece of wholeCharacters(bytes, encoding, skip)) {
    last = piece.bytes;
    let rest = piece.bytes;
    offset = piece.offset;
    for (;;) {
      const text = attempt(decoder, rest, true);
      if (text !== undefined) {
        if (text !== '') yield { text };
        break;
      }
      const good = decodablePrefix(rest, encoding);
      places += 1;
      yield badChunk(rest.subarray(0, good), encoding, offset + good, places === MAX_BAD_PLACES);
      if (places === MAX_BAD_PLACES) return;
      decoder = strictDecoder(encoding);
      rest = rest.subarray(good + unit);
      offset += good + unit;
      last = rest;
    }
  }
  if (attempt(decoder, Buffer.alloc(0), false) === undefined) {
    yield badChunk(Buffer.alloc(0), encoding, offset + decodablePrefix(last, encoding), false);
  }
}

function badChunk(good: Buffer, encoding: string, offset: number, gaveUp: boolean): TextChunk {
  const text = attempt(strictDecoder(encoding), good, false) ?? '';
  return { text: `${text}\uFFFD`, bad: { offset, encoding, gaveUp } };
}

/** The fault of a row that holds undecodable bytes. */
export function badBytesFault(line: number, bad: BadBytes): Fault {
  const rest = bad.gaveUp ? `; the ${MAX_BAD_PLACES}th such place, so the rest of the file was not read` : '';
  const message = `byte ${bad.offset} of the file is not ${bad.encoding}${rest}; name its encoding, for example ${bad.encoding === 'utf-8' ? '--encoding gb18030 (Chinese)' : '--encoding utf-8'} or --encoding windows-1252 (Western European)`;
  return faultAt(line, 'bad-bytes', message, bad.gaveUp ? { scope: 'file' } : {});
}

function strictDecoder(encoding: string): TextDecoder {
  return new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
}

function attempt(decoder: TextDecoder, bytes: Buffer, stream: boolean): string | undefined {
  try {
    return decoder.decode(bytes, { stream });
  } catch {
    return undefined;
  }
}

/** The length of the valid characters at the start. */
function decodablePrefix(bytes: Buffer, encoding: string): number {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >>> 1;
    if (attempt(strictDecoder(encoding), bytes.subarray(0, middle), true) === undefined) invalid = middle;
    else valid = middle;
  }
  // The prefix may end within a character of at most four bytes that the next byte makes invalid.
  for (let end = valid; end >= Math.max(0, valid - 3); end -= 1) {
    if (attempt(strictDecoder(encoding), bytes.subarray(0, end), false) !== undefined) return end;
  }
  return 0;
}

/** The bytes, cut between characters, so an error is within one piece. */
async function* wholeCharacters(
  bytes: AsyncIterable<Buffer>,
  encoding: string,
  skip: number,
): AsyncGenerator<{ bytes: Buffer; offset: number }, void, void> {
  let carry: Buffer = Buffer.alloc(0);
  let offset = 0;
  for await (const chunk of bytes) {
    let joined = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    if (offset < skip) {
      const skipped = Math.min(skip - offset, joined.length);
      joined = joined.subarray(skipped);
      offset += skipped;
    }
    const end = characterEnd(joined, encoding);
    if (end > 0) yield { bytes: joined.subarray(0, end), offset };
    offset += end;
    carry = Buffer.from(joined.subarray(end));
  }
  if (carry.length > 0) yield { bytes: carry, offset };
}

/** The end of the last whole character; in some encodings an earlier end of a character. */
export function characterEnd(bytes: Buffer, encoding: string): number {
  if (encoding === 'utf-8') return utf8End(bytes);
  if (encoding.startsWith('utf-16')) {
    const even = bytes.length - (bytes.length % 2);
    const highByte = bytes[even - (encoding === 'utf-16le' ? 1 : 2)] ?? 0;
    return highByte >= 0xd8 && highByte <= 0xdb ? even - 2 : even;
  }
  // In GB18030, GBK, Big5, Shift_JIS and the EUCs no byte below 0x30 is part of a longer character.
  const cut = bytes.findLastIndex((byte) => byte < 0x30) + 1;
  return cut > 0 ? cut : bytes.length;
}

function utf8End(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}
