import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import type { Config } from '../../core/config.ts';
import { usageError, VidbatchError } from '../../core/errors.ts';
import { diskError, isThere } from '../../database/disk-errors.ts';
import { checkBackup, formatLine, type BackupLine } from '../../ledger/copy/backup-file.ts';
import type { CopiedTable } from '../../ledger/copy/fill.ts';
import { withSnapshot } from '../../ledger/copy/snapshot.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { ownJournals, readWritten } from '../../worker/journal/carry.ts';
import { journalFolder } from '../../worker/journal/journal.ts';
import { flush } from '../../database/flush.ts';

export interface BackupReport {
  file: string;
  ledgerId: string;
  madeAt: string;
  tables: CopiedTable[];
  journals: number;
}

type Write = (line: BackupLine) => Promise<void>;

/**
 * Writes the embedded ledger as it is at one moment, and its journals, into one file. A worker may work meanwhile; it waits
 * while the tables are read. The journals are read after the ledger, so they know all that it knows. The file gets its name
 * when it is whole, flushed and read back.
 * @throws VidbatchError exit 2 when the file is there already: it is never overwritten.
 */
export async function backupLedger(
  { db, ledgerId, storage }: LedgerApp,
  config: Config,
  file: string,
  onTable: (copied: CopiedTable) => void = () => undefined,
): Promise<BackupReport> {
  refuseServer(config, 'backs up');
  if (isThere(file)) throw fileThere(file);
  const report = {
    file,
    ledgerId,
    madeAt: new Date().toISOString(),
    tables: [] as CopiedTable[],
    journals: 0,
  };
  const unfinished = `${file}.unfinished-${process.pid}`;
  try {
    await writeLines(unfinished, async (write) => {
      await withSnapshot(db, async (source) => {
        const { migrations } = source;
        await write({
          kind: 'header',
          version: 1,
          ledgerId,
          madeAt: report.madeAt,
          from: storage.ledger,
          migrations,
        });
        for await (const { table, rows, sum } of source.tables()) {
          await write({ kind: 'table', table });
          for await (const some of rows()) await write({ kind: 'rows', rows: some });
          const whole = await sum();
          await write({ kind: 'sum', sum: whole });
          report.tables.push({ name: table.name, ...whole });
          onTable({ name: table.name, ...whole });
        }
        await write({ kind: 'sequences', sequences: await source.sequences() });
      });
      const folder = journalFolder(config.dataDir);
      for (const name of await ownJournals(folder, ledgerId)) {
        await write({ kind: 'journal', name });
        for await (const bytes of await readWritten(join(folder, name)))
          await write({ kind: 'part', base64: bytes.toString('base64') });
        report.journals += 1;
      }
    });
    await checkBackup(unfinished);
    // Fails where a file of this name has come meanwhile.
    await link(unfinished, file);
    await flush(dirname(file));
  } catch (cause) {
    if (cause instanceof VidbatchError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw fileThere(file);
    throw diskError('BACKUP_FILE', file, cause);
  } finally {
    await rm(unfinished, { force: true });
  }
  return report;
}

/** @throws VidbatchError exit 2 when the ledger is on a server. */
export function refuseServer({ databaseUrl }: Config, what: 'backs up' | 'restores'): void {
  if (databaseUrl === undefined) return;
  throw usageError(
    'LEDGER_ON_SERVER',
    `DATABASE_URL is set, and this command ${what} an embedded ledger`,
    what === 'backs up'
      ? 'Back up Postgres itself: base backups with WAL archiving.'
      : 'Unset DATABASE_URL. `vidbatch ledger copy --to` brings the restored ledger to a server.',
  );
}

function fileThere(file: string): VidbatchError {
  return usageError(
    'FILE_THERE',
    `${file}: is there already, and is never overwritten`,
    'Name another file.',
  );
}

/** Writes all lines, packed, and the line with their hash; resolves when they are on the disk. For this user alone. */
async function writeLines(path: string, work: (write: Write) => Promise<void>): Promise<void> {
  const hash = createHash('sha256');
  const packer = createZstdCompress();
  const written = pipeline(packer, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }));
  // Its error is thrown where it is awaited.
  written.catch(() => undefined);
  const write: Write = async (line) => {
    if (packer.destroyed) await written;
    const text = formatLine(line, hash);
    if (!packer.write(text)) await Promise.race([once(packer, 'drain'), written]);
  };
  try {
    await work(write);
    packer.end(`${JSON.stringify({ kind: 'end', sha256: hash.digest('hex') } satisfies BackupLine)}\n`);
    await written;
  } catch (cause) {
    packer.destroy();
    await written.catch(() => undefined);
    throw cause;
  }
}
