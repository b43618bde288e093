import { isUtf8 } from 'node:buffer';
import { refusal, usageError } from '../core/errors.ts';
import type { ByteSource } from './bytes.ts';
import { gatherEvidence } from './evidence.ts';
import { characterEnd } from './text.ts';

export interface Encoding {
  /** WHATWG name of the encoding. */
  label: string;
  /** Length of the byte order mark, which is not part of the text. */
  bomBytes: number;
  /** Nothing but the lack of a better explanation speaks for it. */
  doubtful: boolean;
}

const BOMS: readonly (readonly [string, Buffer])[] = [
  ['utf-8', Buffer.from([0xef, 0xbb, 0xbf])],
  ['utf-16le', Buffer.from([0xff, 0xfe])],
  ['utf-16be', Buffer.from([0xfe, 0xff])],
  ['gb18030', Buffer.from([0x84, 0x31, 0x95, 0x33])],
];

/**
 * The encoding of a manifest: as named by `override` (any WHATWG label), else by its byte order mark, else
 * UTF-16 by its NUL bytes, else UTF-8 or GB18030 by which of them the bytes fit.
 * Throws: exit 2 for an unknown label, exit 3 for a file that is no text.
 */
export async function detectEncoding(source: ByteSource, override?: string): Promise<Encoding> {
  const bom = BOMS.find(([, mark]) => source.head.subarray(0, mark.length).equals(mark));
  if (override !== undefined) {
    const label = knownLabel(override);
    const bomBytes = bom !== undefined && sameEncoding(bom[0], label) ? bom[1].length : 0;
    return { label, bomBytes, doubtful: false };
  }
  if (bom !== undefined && !isUtf32(source.head)) {
    return { label: bom[0], bomBytes: bom[1].length, doubtful: false };
  }
  const utf16 = sniffUtf16(source.head);
  if (utf16 !== undefined) return { label: utf16, bomBytes: 0, doubtful: false };
  if (looksBinary(source.head)) throw binaryRefusal(source);
  const evidence = await gatherEvidence(source);
  return { label: evidence.label, bomBytes: 0, doubtful: evidence.doubtful };
}

function knownLabel(label: string): string {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    throw usageError(
      'encoding-unknown',
      `--encoding ${label}: no such encoding`,
      'Known are the WHATWG labels, among them utf-8, gb18030, gbk, big5, utf-16le, utf-16be, windows-1252.',
    );
  }
}

function sameEncoding(mark: string, label: string): boolean {
  return mark === label || (mark === 'gb18030' && label === 'gbk');
}

/** The UTF-32LE mark begins like that of UTF-16LE. No text has a NUL as its first character. */
function isUtf32(head: Buffer): boolean {
  return head.subarray(0, 4).equals(Buffer.from([0xff, 0xfe, 0, 0]));
}

/** ASCII in UTF-16 is a NUL in every second byte, always on the same side. */
function sniffUtf16(head: Buffer): string | undefined {
  let even = 0;
  let odd = 0;
  for (let at = head.indexOf(0); at !== -1; at = head.indexOf(0, at + 1)) {
    if (at % 2 === 0) even += 1;
    else odd += 1;
  }
  const label = odd > 10 * even ? 'utf-16le' : even > 10 * odd ? 'utf-16be' : undefined;
  // A NUL here and there in good UTF-8 is a dirty cell, which the rules of the request judge.
  if (label === undefined || isUtf8WithStrayNuls(head, even + odd)) return undefined;
  try {
    const text = new TextDecoder(label, { fatal: true }).decode(head, { stream: true });
    return controlShare(Buffer.from(text)) === 0 ? label : undefined;
  } catch {
    return undefined;
  }
}

function looksBinary(head: Buffer): boolean {
  const nuls = head.reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
  if (nuls > 0 && !isUtf8WithStrayNuls(head, nuls)) return true;
  return controlShare(head) > 0.1;
}

function isUtf8WithStrayNuls(head: Buffer, nuls: number): boolean {
  const whole = head.subarray(0, characterEnd(head, 'utf-8'));
  return nuls < head.length / 10 && isUtf8(whole) && controlShare(head) === nuls / head.length;
}

/** Share of bytes that are control characters, other than those of white space and Ctrl-Z and escape. */
function controlShare(bytes: Buffer): number {
  const isControl = (byte: number): boolean =>
    byte < 0x20 && !(byte >= 0x09 && byte <= 0x0d) && byte !== 0x1a && byte !== 0x1b;
  return bytes.length === 0
    ? 0
    : bytes.reduce((count, byte) => count + (isControl(byte) ? 1 : 0), 0) / bytes.length;
}

function binaryRefusal(source: ByteSource): Error {
  return refusal(
    'manifest-binary',
    `${source.name} is a binary file, not text`,
    'A manifest is CSV, JSON or JSONL text; if it is text in a rare encoding, name it with --encoding.',
  );
}
