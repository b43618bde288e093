import { isAscii } from 'node:buffer';
import type { ByteSource } from './bytes.ts';
import { characterEnd } from './text.ts';

/** So many non-ASCII places settle it; in a file with fewer of them, all are looked at. */
const ENOUGH = 1000;

interface Tally {
  valid: number;
  invalid: number;
}

/**
 * UTF-8 or GB18030, by what the bytes fit. A rereadable source is scanned until there is enough evidence, at
 * most once to its end, in constant memory: a manifest may be plain ASCII for long before its first Chinese
 * prompt. Of another one only the head is known.
 *
 * One bad byte does not turn UTF-8 into GB18030: that reads almost any UTF-8, as other Chinese, and the wrong
 * prompts would be paid for. So the majority of places decides.
 */
export async function gatherEvidence(source: ByteSource): Promise<{ label: string; doubtful: boolean }> {
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

/** Length of the UTF-8 sequence at `at`; 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf5 || lead < 0xc2 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  for (let next = 1; next < length; next += 1) {
    if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** Whether bytes are GB18030 at all, and whether they look like everyday Chinese in it. */
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
      // Characters of everyday Chinese have both bytes above 0xa0; accented Latin letters, Big5 and Shift_JIS
      // often have an ASCII letter in the second place.
      at += 1;
      if ((chunk[at] ?? 0xff) > 0xa0) this.#common += 1;
      else this.#rare += 1;
    }
  }

  get likely(): boolean {
    return this.#common > 4 * this.#rare;
  }
}
