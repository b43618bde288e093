import { createHash } from 'node:crypto';

/** With a suffix, an extension and `.part`, this stays below the 255 bytes of most file systems, and the 143 of others. */
const NAME_BYTES = 100;
/** All but what a file name may hold on any system and in any shell. Every script and emoji is allowed. */
const FORBIDDEN = /[^\p{L}\p{M}\p{N}\p{Extended_Pictographic} ._\-+=@,()]/gu;
/** Device names of Windows, with or without an extension. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The file name of a row's video without its extension, as far as its key alone decides it. */
export function baseNameOf(key: string): string {
  const plain = key
    .toWellFormed()
    .normalize('NFC')
    .replaceAll(FORBIDDEN, '_')
    .replace(DEVICE, '$1_')
    // Otherwise the file is hidden, or its name looks like a flag.
    .replace(/^[.\- ]/, '_');
  return cut(plain, NAME_BYTES).replace(/[. ]+$/, (end) => '_'.repeat(end.length)) || '_';
}

/** Cuts between the characters that people see: half an emoji is another emoji. */
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
 * The file name of each row. Some file systems take `A` and `a` for one file. Of rows whose names differ only in case, the
 * one that came first into the ledger has the plain name. Each later row has `~` and a part of its key's checksum behind it;
 * no plain name holds a `~`. So rows that are added later change no earlier name.
 */
export class BaseNames {
  readonly #taken = new Set<string>();
  readonly #later = new Set<number>();
  /** The last row that was added. */
  last = -1;

  /** Rows are added in the order of their ids. */
  add(row: { id: number; key: string }): void {
    const folded = baseNameOf(row.key).normalize('NFKC').toLowerCase();
    if (this.#taken.has(folded)) this.#later.add(row.id);
    else this.#taken.add(folded);
    this.last = row.id;
  }

  of({ id, key }: { id: number; key: string }): string {
    if (!this.#later.has(id)) return baseNameOf(key);
    return `${baseNameOf(key)}~${createHash('sha256').update(key).digest('hex').slice(0, 12)}`;
  }
}
