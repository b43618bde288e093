import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createZstdDecompress } from 'node:zlib';
import { messageOf, usageError, VidbatchError } from '../../core/errors.ts';
import { splitLines } from '../../core/lines.ts';
import { diskError, systemError } from '../../database/disk-errors.ts';
import type { LedgerSource } from './snapshot.ts';
import type { Cells, Sequence, Table, TableSum } from './tables.ts';

/**
 * One line of a backup: a file of JSON lines, packed by zstd. `journal` begins a journal, whose bytes follow in `part` as
 * base64. `end` is the last line, with the hash of all lines before it: without it, the file is not whole.
 */
export type BackupLine =
  | {
      kind: 'header';
      version: 1;
      ledgerId: string;
      madeAt: string;
      from: string;
      migrations: LedgerSource['migrations'];
    }
  | { kind: 'table'; table: Table }
  | { kind: 'rows'; rows: Cells[] }
  | { kind: 'sum'; sum: TableSum }
  | { kind: 'sequences'; sequences: Sequence[] }
  | { kind: 'journal'; name: string }
  | { kind: 'part'; base64: string }
  | { kind: 'end'; sha256: string };

export type BackupHeader = Extract<BackupLine, { kind: 'header' }>;

/** The text of a line, which it adds to the hash of all lines. */
export function formatLine(line: BackupLine, hash: Hash): string {
  const text = `${JSON.stringify(line)}\n`;
  hash.update(text);
  return text;
}

/** Line by line. @throws VidbatchError BACKUP_DAMAGED when the file is not a whole backup. */
export async function* readBackup(path: string): AsyncGenerator<BackupLine> {
  const hash = createHash('sha256');
  const file = createReadStream(path);
  const unpacked = createZstdDecompress();
  file.on('error', (cause) => unpacked.destroy(cause));
  file.pipe(unpacked);
  let last: BackupLine | undefined;
  try {
    for await (const bytes of splitLines(unpacked)) {
      if (last?.kind === 'end') throw damaged(path, 'it continues after its end');
      last = JSON.parse(bytes.toString('utf8')) as BackupLine;
      if (last.kind === 'end') {
        if (last.sha256 !== hash.digest('hex')) throw damaged(path, 'its checksum is wrong');
      } else hash.update(bytes).update('\n');
      yield last;
    }
  } catch (cause) {
    if (cause instanceof VidbatchError) throw cause;
    if (systemError(cause) === 'ENOENT')
      throw usageError(
        'NO_BACKUP',
        `${path}: no such file`,
        'Name a file that `vidbatch ledger backup` made.',
      );
    throw systemError(cause) === undefined
      ? damaged(path, messageOf(cause))
      : diskError('BACKUP_FILE', path, cause);
  } finally {
    file.destroy();
    unpacked.destroy();
  }
  if (last?.kind !== 'end') throw damaged(path, 'its end is missing');
}

/** Reads all of the file. @throws VidbatchError BACKUP_DAMAGED */
export async function checkBackup(path: string): Promise<BackupHeader> {
  let header: BackupHeader | undefined;
  for await (const line of readBackup(path)) {
    if (line.kind === 'header') header = line;
    else if (header === undefined) throw damaged(path, 'its first line is no header');
  }
  if (header?.version !== 1) throw damaged(path, 'its header is missing or of another format');
  return header;
}

function damaged(path: string, why: string): VidbatchError {
  return new VidbatchError('BACKUP_DAMAGED', `${path}: is not a whole backup of a ledger: ${why}`, {
    hint: 'Nothing was changed. Use another backup.',
  });
}
