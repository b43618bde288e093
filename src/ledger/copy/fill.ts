import { refusal, VidbatchError } from '../../core/errors.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { isDeepStrictEqual } from 'node:util';
import { transaction, type Database, type Session } from '../../database/database.ts';
import { readClosed, type Closed } from '../closed.ts';
import { logEvent } from '../batches.ts';
import { readLedgerId } from '../read/rows.ts';
import { followClock } from '../send/clock.ts';
import { forgetFeeders } from '../send/feeder.ts';
import { forgetPulses } from '../workers.ts';
import type { LedgerSource } from './snapshot.ts';
import {
  quotedName,
  readSequences,
  readTables,
  sumTable,
  TEXT_SETTINGS,
  writtenColumns,
  type Cells,
  type Table,
  type TableSum,
} from './tables.ts';

/** A whole table that was copied. */
export interface CopiedTable extends TableSum {
  name: string;
}

export interface FillOptions {
  /** What the ledger was made from, for the event log. */
  from: string;
  who: string;
  /** Undefined: it is open as soon as it is complete. */
  closed?: Omit<Closed, 'at'>;
  onTable?: (copied: CopiedTable) => void;
}

/**
 * Writes a whole ledger into an incomplete one, in one transaction: after a crash it is as empty and as incomplete as
 * before. It counts each table and compares a checksum of it with the original before it commits.
 * @throws VidbatchError COPY_DIFFERS with the name of a table that is not the same; the ledger stays incomplete.
 */
export async function fillLedger(
  target: Database,
  source: LedgerSource,
  options: FillOptions,
): Promise<CopiedTable[]> {
  const copied = await transaction(target, async (session) => {
    await session.query(TEXT_SETTINGS);
    await lockIncomplete(session, source.ledgerId);
    const own = new Map((await readTables(session)).map((table) => [table.name, table]));
    const tables: CopiedTable[] = [];
    for await (const { table, rows, sum } of source.tables()) {
      const known = own.get(table.name);
      if (!isDeepStrictEqual(known, table)) throw differs(`table ${table.name}`, 'its columns');
      own.delete(table.name);
      for await (const chunk of rows()) {
        for (const part of inParts(chunk)) await insertRows(session, table, part);
      }
      const [theirs, ours] = [await sum(), await sumTable(session, table)];
      if (theirs.rows !== ours.rows)
        throw differs(`table ${table.name}`, `${theirs.rows} rows, and ${ours.rows} in the copy`);
      if (theirs.checksum !== ours.checksum) throw differs(`table ${table.name}`, 'its checksum');
      tables.push({ name: table.name, ...ours });
      options.onTable?.({ name: table.name, ...ours });
    }
    for (const name of own.keys()) throw differs(`table ${name}`, 'the original does not have it');
    await setSequences(session, source);
    await followClock(session);
    await forgetFeeders(session);
    await forgetPulses(session);
    await finish(session, options);
    crashPoint('tables-copied');
    return tables;
  });
  crashPoint('copy-committed');
  return copied;
}

/** Two processes that fill one ledger wait for each other here. */
async function lockIncomplete(session: Session, ledgerId: string): Promise<void> {
  await session.query('select from vidbatch.meta for update');
  const closed = await readClosed(session);
  if (closed?.code === 'incomplete' && (await readLedgerId(session)) === ledgerId) return;
  throw refusal(
    'TARGET_NOT_EMPTY',
    'another process has completed the copy meanwhile',
    'It may send already. Look at it with `vidbatch status` before you do anything else.',
  );
}

/** One statement stays small, also with large answers of the provider. */
const PART_CHARACTERS = 1_000_000;

function inParts(rows: readonly Cells[]): Cells[][] {
  const parts: Cells[][] = [];
  let part: Cells[] = [];
  let size = 0;
  for (const row of rows) {
    part.push(row);
    size += row.reduce((sum, cell) => sum + (cell?.length ?? 0), 0);
    if (size < PART_CHARACTERS) continue;
    parts.push(part);
    [part, size] = [[], 0];
  }
  return part.length === 0 ? parts : [...parts, part];
}

async function insertRows(session: Session, table: Table, rows: readonly Cells[]): Promise<void> {
  const columns = writtenColumns(table);
  const names = columns.map(({ name }) => quotedName(name));
  const values = columns.map(({ type }, n) => `given.c${n}::${type}`);
  // The one row of `meta` is there already.
  const onConflict =
    table.name === 'meta'
      ? `on conflict (only_row) do update set ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`
      : '';
  await session.query(
    `insert into vidbatch.${quotedName(table.name)} (${names.join(', ')}) overriding system value
     select ${values.join(', ')}
       from unnest(${columns.map((_, n) => `$${n + 1}::text[]`).join(', ')}) as given(${columns.map((_, n) => `c${n}`).join(', ')})
     ${onConflict}`,
    columns.map((_, n) => rows.map((row) => row[n] ?? null)),
  );
}

async function setSequences(session: Session, source: LedgerSource): Promise<void> {
  const sequences = await source.sequences();
  for (const { name, last, called } of sequences) {
    await session.query(`select setval($1::regclass, $2::bigint, $3::boolean)`, [
      `vidbatch.${quotedName(name)}`,
      last,
      called,
    ]);
  }
  const ours = await readSequences(session);
  const wrong = ours.find((one, n) => !isDeepStrictEqual(one, sequences[n]));
  if (wrong !== undefined || ours.length !== sequences.length)
    throw differs(`sequence ${wrong?.name ?? '(missing)'}`, 'its value');
}

async function finish(session: Session, { closed, from, who }: FillOptions): Promise<void> {
  await session.query(
    `update vidbatch.meta set closed_code = $1, closed_note = $2, closed_at = case when $1::text is not null then now() end`,
    [closed?.code ?? null, closed?.note ?? null],
  );
  if (closed?.code === 'restored') {
    // The journals of a backup may lack the intent of an attempt that left later: they must not prove that it did not.
    await session.query(
      'update vidbatch.attempt set intended_at = now() where outcome is null and intended_at is null',
    );
  }
  await logEvent(session, 'ledger-made-from', from, undefined, who);
}

function differs(what: string, how: string): VidbatchError {
  return new VidbatchError('COPY_DIFFERS', `${what} of the copy is not the same as the original: ${how}`, {
    hint: 'The copy stays incomplete, and no command uses it. Run the same command again; if it fails again, check both disks.',
  });
}
