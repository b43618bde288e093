import { isAscii, isUtf8 } from 'node:buffer';
import { refusal, usageError } from '../core/errors.ts';
import type { ByteSource } from './bytes.ts';
import { characterEnd } from './decode.ts';

export interface Encoding {
  /** The WHATWG name. */
  label: string;
  /** Length of the byte order mark, which is not part of the text. */
  bomBytes: number;
  /** No other encoding fits better, but this one does not fit well. */
  doubtful: boolean;
}

const BOMS: readonly (readonly [string, Buffer])[] = [
  ['utf-8', Buffer.from([0xef, 0xbb, 0xbf])],
  ['utf-16le', Buffer.from([0xff, 0xfe])],
  ['utf-16be', Buffer.from([0xfe, 0xff])],
  ['gb18030', Buffer.from([0x84, 0x31, 0x95, 0x33])],
];

/**
 * The encoding of a manifest: `override` (a WHATWG label), or by its byte order mark, or UTF-16 by its NUL bytes, or else
 * UTF-8 or GB18030.
 * @throws VidbatchError exit 2 for an unknown label, exit 3 for a binary file.
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
  // A few NULs in valid UTF-8 are dirty cells, which the rules of the request report.
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

/** The share of control characters, without white space, Ctrl-Z and escape. */
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

/** The non-ASCII places after which detection stops. */
const ENOUGH = 1000;

interface Tally {
  valid: number;
  invalid: number;
}

/**
 * UTF-8 or GB18030. The first Chinese prompt may come late, so a rereadable source is scanned until there is enough
 * evidence. The majority of the non-ASCII places decides: GB18030 reads almost any UTF-8 as wrong Chinese, so one bad byte
 * must not change every prompt.
 */
async function gatherEvidence(source: ByteSource): Promise<{ label: string; doubtful: boolean }> {
  const tally: Tally = { valid: 0, invalid: 0 };
  const chinese = new ChineseTally();
  let carry: Buffer = Buffer.alloc(0);
  for await (const chunk of source.rereadable ? source.read() : headOf(source)) {
    if (carry.length === 0 && isAscii(chunk)) continue;
    const joined = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    const end = characterEnd(joined, 'utf-8');
    chinese.add(chunk);
    countUtf8(joined.subarray(0, end), tally);
    carry = Buffer.from(joined.subarray(end));
    if (tally.valid + tally.invalid >= ENOUGH) break;
  }
  if (source.rereadable && tally.valid + tally.invalid < ENOUGH) countUtf8(carry, tally);
  if (tally.invalid === 0 || tally.valid > tally.invalid || !chinese.possible) {
    return { label: 'utf-8', doubtful: false };
  }
  return { label: 'gb18030', doubtful: !chinese.likely };
}

async function* headOf(source: ByteSource): AsyncGenerator<Buffer, void, void> {
  yield source.head;
}

/** Counts well-formed multi-byte sequences, and bytes that begin none. */
function countUtf8(bytes: Buffer, tally: Tally): void {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length > 1) tally.valid += 1;
    if (length === 0) tally.invalid += 1;
    at += Math.max(1, length);
  }
}

/** Length of the UTF-8 sequence at `at`, or 0. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf5 || lead < 0xc2 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  for (let next = 1; next < length; next += 1) {
    if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** Whether bytes are valid GB18030, and whether they look like common Chinese in it. */
class ChineseTally {
  possible = true;
  readonly #decoder = new TextDecoder('gb18030', { fatal: true });
  #common = 0;
  #rare = 0;

  add(chunk: Buffer): void {
    if (!this.possible) return;
    try {
      this.#decoder.decode(chunk, { stream: true });
    } catch {
      this.possible = false;
    }
    for (let at = 0; at < chunk.length; at += 1) {
      if ((chunk[at] ?? 0) < 0x80) continue;
      // Common Chinese has both bytes above 0xa0. In Latin text, Big5 and Shift_JIS the second byte is often ASCII.
      at += 1;
      if ((chunk[at] ?? 0xff) > 0xa0) this.#common += 1;
      else this.#rare += 1;
    }
  }

  get likely(): boolean {
    return this.#common > 4 * this.#rare;
  }
}
