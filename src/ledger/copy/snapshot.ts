import { transaction, type Database, type Session } from '../../database/database.ts';
import { KEEP_CLOSED, readClosed, type Closed } from '../closed.ts';
import { migrations } from '../migrate.ts';
import { readLedgerId } from '../read/rows.ts';
import {
  quotedName,
  readSequences,
  readTables,
  sumTable,
  TEXT_SETTINGS,
  writtenColumns,
  type Cells,
  type Sequence,
  type Table,
  type TableSum,
} from './tables.ts';

/** One table of a ledger that is copied. Read its rows to the end first, then its sum. */
interface TableSource {
  table: Table;
  rows: () => AsyncIterable<Cells[]>;
  sum: () => Promise<TableSum>;
}

/** A whole ledger at one moment: an open one, or a backup. */
export interface LedgerSource {
  ledgerId: string;
  /** The names and hashes of its migrations. */
  migrations: { name: string; sha256: string | null }[];
  /** A table after those to which it refers. */
  tables: () => AsyncIterable<TableSource>;
  /** After the tables. */
  sequences: () => Promise<Sequence[]>;
}

/** An open ledger at one moment. */
export interface Snapshot extends LedgerSource {
  closed: Closed | undefined;
}

/** Rows that are fetched at a time. */
const FETCHED = 500;

/** Reads the ledger as it is at one moment. Other processes may write meanwhile. */
export function withSnapshot<T>(db: Database, work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  return transaction(db, async (session) => {
    await session.query('set transaction isolation level repeatable read, read only');
    await session.query(KEEP_CLOSED);
    // A copy in the order of the original: the index by time of attempts depends on it.
    await session.query(`${TEXT_SETTINGS}; set local synchronize_seqscans = off`);
    const snapshot: Snapshot = {
      closed: await readClosed(session),
      ledgerId: await readLedgerId(session),
      migrations: (await migrations()).map(({ name, sha256 }) => ({ name, sha256 })),
      async *tables() {
        for (const table of await readTables(session)) {
          yield { table, rows: () => fetchRows(session, table), sum: () => sumTable(session, table) };
        }
      },
      sequences: () => readSequences(session),
    };
    return work(snapshot);
  });
}

async function* fetchRows(session: Session, table: Table): AsyncGenerator<Cells[]> {
  const columns = writtenColumns(table).map(({ name }) => name);
  const texts = columns.map((name) => `${quotedName(name)}::text as ${quotedName(name)}`).join(', ');
  await session.query(
    `declare copied no scroll cursor for select ${texts} from vidbatch.${quotedName(table.name)}`,
  );
  for (;;) {
    const { rows } = await session.query<Record<string, string | null>>(`fetch ${FETCHED} from copied`);
    if (rows.length === 0) break;
    yield rows.map((row) => columns.map((name) => row[name] ?? null));
  }
  await session.query('close copied');
}
