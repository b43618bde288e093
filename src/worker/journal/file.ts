import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { splitLines } from '../../core/lines.ts';
import { diskError, isThere } from '../../database/disk-errors.ts';
import type { JournalLine } from './journal.ts';

/** A line of the file; `torn` when it cannot be read. A crash leaves a torn line at the end of a file. */
export type JournalEntry =
  { kind: 'line'; number: number; line: JournalLine } | { kind: 'torn'; number: number };

/** Every journal in the folder, by name; empty without a folder. */
export async function journalNames(folder: string): Promise<string[]> {
  if (!isThere(folder)) return [];
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  } catch (cause) {
    throw diskError('DATA_DIR', folder, cause);
  }
}

/** The file whose kernel lock says that a journal is being written. */
export function lockOf(path: string): string {
  return path.replace(/\.jsonl$/, '.lock');
}

/** Line by line, in constant memory. It skips the zeros that the writer has allocated in advance. */
export async function* readJournal(path: string): AsyncGenerator<JournalEntry> {
  let number = 0;
  for await (const bytes of splitLines(createReadStream(path))) {
    number += 1;
    // A line that a power failure cut short has zeros after it, and the next line may follow them.
    for (const written of bytes.toString('utf8').split(/\0+/)) {
      if (written === '') continue;
      const line = parse(written);
      yield line === undefined ? { kind: 'torn', number } : { kind: 'line', number, line };
    }
  }
}

function parse(text: string): JournalLine | undefined {
  try {
    const line = JSON.parse(text) as JournalLine | null;
    return isLine(line) ? line : undefined;
  } catch {
    return undefined;
  }
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Checks what a query in the ledger needs: an id that is not a UUID would fail the whole query. */
function isLine(line: JournalLine | null): line is JournalLine {
  if (line === null) return false;
  if (line.kind === 'header') return typeof line.ledger === 'string';
  return (line.kind === 'intent' || line.kind === 'answer') && UUID.test(line.attempt);
}
