import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../core/config.ts';
import { refusal } from '../../core/errors.ts';
import { checkFolder } from '../../database/ownership.ts';
import {
  checkBackup,
  readBackup,
  type BackupHeader,
  type BackupLine,
} from '../../ledger/copy/backup-file.ts';
import { fillLedger, type CopiedTable } from '../../ledger/copy/fill.ts';
import type { LedgerSource } from '../../ledger/copy/snapshot.ts';
import type { Cells, Sequence, TableSum } from '../../ledger/copy/tables.ts';
import { migrations } from '../../ledger/migrate.ts';
import { bringJournal, refuseStrangers } from '../../worker/journal/carry.ts';
import { journalFolder } from '../../worker/journal/journal.ts';
import { refuseServer } from './backup.ts';
import { asFullDisk, notEmpty, openPlace, parsePlace, prepareTarget } from './target.ts';

export interface RestoreReport {
  file: string;
  to: string;
  ledgerId: string;
  madeAt: string;
  tables: CopiedTable[];
  journals: number;
}

/**
 * Makes the embedded ledger of an empty data folder from a backup. Journals that are there already stay: they may know more.
 * The ledger is closed afterwards, because rows may have been sent since the backup was made.
 * @throws VidbatchError exit 3 when there is a ledger already.
 */
export async function restoreLedger(
  config: Config,
  file: string,
  options: { who: string; onTable?: (copied: CopiedTable) => void },
): Promise<RestoreReport> {
  refuseServer(config, 'restores');
  checkFolder(config.dataDir);
  const header = await checkBackup(file);
  await refuseOtherVersion(file, header);
  const { ledgerId, madeAt } = header;
  const folder = journalFolder(config.dataDir);
  await refuseStrangers(folder, ledgerId);
  const place = parsePlace(config.dataDir);
  const target = await openPlace(place);
  try {
    const from = `the backup of ${madeAt}`;
    const found = await prepareTarget(target.db, { ledgerId, place, from });
    if (found === 'complete') throw notEmpty(`${place.name} holds this ledger already`);
    const journals = await bringJournals(file, folder);
    const tables = await fillFromBackup(file, header, (source) =>
      fillLedger(target.db, source, { ...options, from, closed: { code: 'restored', note: from } }),
    );
    await target.close();
    return { file, to: place.name, ledgerId, madeAt, tables, journals };
  } catch (cause) {
    throw asFullDisk(cause, place.name);
  } finally {
    await target.close();
  }
}

async function refuseOtherVersion(file: string, header: BackupHeader): Promise<void> {
  const known = (await migrations()).map(({ name, sha256 }) => ({ name, sha256 }));
  if (isDeepStrictEqual(header.migrations, known)) return;
  throw refusal(
    'BACKUP_VERSION',
    `${file}: was made by a vidbatch with another schema; nothing was changed`,
    'Restore it with the vidbatch that made it, then update vidbatch: it brings the ledger up to date.',
  );
}

/** Writes the journals of the backup into the folder. Returns how many there are. */
async function bringJournals(file: string, folder: string): Promise<number> {
  const lines = readBackup(file);
  let journals = 0;
  let line = await nextLine(lines);
  while (line !== undefined) {
    if (line.kind !== 'journal') {
      line = await nextLine(lines);
      continue;
    }
    const { name } = line;
    const parts = async function* (): AsyncGenerator<Buffer> {
      for (line = await nextLine(lines); line?.kind === 'part'; line = await nextLine(lines))
        yield Buffer.from(line.base64, 'base64');
    };
    await bringJournal(folder, name, parts());
    journals += 1;
  }
  return journals;
}

async function nextLine(lines: AsyncGenerator<BackupLine>): Promise<BackupLine | undefined> {
  const { value, done } = await lines.next();
  return done === true ? undefined : value;
}

/** Gives the tables of the backup to `fill`, and closes the file. */
async function fillFromBackup<T>(
  file: string,
  { ledgerId, migrations: applied }: BackupHeader,
  fill: (source: LedgerSource) => Promise<T>,
): Promise<T> {
  const lines = readBackup(file);
  let sequences: Sequence[] = [];
  const source: LedgerSource = {
    ledgerId,
    migrations: applied,
    async *tables() {
      for (let line = await nextLine(lines); line !== undefined; line = await nextLine(lines)) {
        if (line.kind === 'sequences') {
          ({ sequences } = line);
          return;
        }
        if (line.kind !== 'table') continue;
        let whole: TableSum = { rows: 0, checksum: 'missing' };
        yield {
          table: line.table,
          async *rows(): AsyncGenerator<Cells[]> {
            let next = await nextLine(lines);
            for (; next?.kind === 'rows'; next = await nextLine(lines)) yield next.rows;
            if (next?.kind === 'sum') whole = next.sum;
          },
          sum: () => Promise.resolve(whole),
        };
      }
    },
    sequences: () => Promise.resolve(sequences),
  };
  try {
    return await fill(source);
  } finally {
    await lines.return(undefined);
  }
}
