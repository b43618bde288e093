import { createHash } from 'node:crypto';

/** With a suffix, an extension and `.part`, well below the 255 bytes of most file systems, and the 143 of some. */
const STEM_BYTES = 100;
/** What a file name may hold on any system and in any shell; of scripts and emoji, all. */
const FORBIDDEN = /[^\p{L}\p{M}\p{N}\p{Extended_Pictographic} ._\-+=@,()]/gu;
/** Windows takes these for devices, whatever comes after a dot. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The file name of a row's video without its extension, as far as its key alone decides it. */
export function stemOf(key: string): string {
  const plain = key
    .toWellFormed()
    .normalize('NFC')
    .replaceAll(FORBIDDEN, '_')
    .replace(DEVICE, '$1_')
    // Hidden, or taken for a flag.
    .replace(/^[.\- ]/, '_');
  return cut(plain, STEM_BYTES).replace(/[. ]+$/, (end) => '_'.repeat(end.length)) || '_';
}

/** By whole characters as people see them: an emoji cut in two is another one. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  let size = 0;
  let length = 0;
  for (const { segment } of graphemes.segment(text.slice(0, bytes))) {
    size += Buffer.byteLength(segment);
    if (size > bytes) break;
    length += segment.length;
  }
  return text.slice(0, length);
}

/**
 * Which row gets which name. File systems differ in whether `A` and `a` are one file; so of rows whose names differ in
 * no more than that, the first has the name, and each later one has a part of its key's checksum behind `~`, which no
 * other name holds. First is who came first into the ledger: rows that are added later change no earlier name.
 */
export class Stems {
  readonly #taken = new Set<string>();
  readonly #later = new Set<number>();
  /** The last row that was added. */
  last = -1;

  /** Rows are added in the order of their ids. */
  add(row: { id: number; key: string }): void {
    const folded = stemOf(row.key).normalize('NFKC').toLowerCase();
    if (this.#taken.has(folded)) this.#later.add(row.id);
    else this.#taken.add(folded);
    this.last = row.id;
  }

  of({ id, key }: { id: number; key: string }): string {
    if (!this.#later.has(id)) return stemOf(key);
    return `${stemOf(key)}~${createHash('sha256').update(key).digest('hex').slice(0, 12)}`;
  }
}
