import { readdirSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { crashPoint } from '../../core/crash-points.ts';
import { refusal, usageError, VidbatchError } from '../../core/errors.ts';
import { openFolder } from '../../database/data-folder.ts';
import { flushFolder } from '../../database/database-files.ts';
import type { Database } from '../../database/database.ts';
import { diskError, isThere, systemError } from '../../database/disk-errors.ts';
import { databaseOf, expectLedger, ledgerCame } from '../../database/incoming.ts';
import { connectPostgres } from '../../database/postgres/connect.ts';
import { parsePostgresUrl } from '../../database/postgres/url.ts';
import { readClosed } from '../../ledger/closed.ts';
import {
  appliedMigrations,
  compareMigrations,
  expectLedgerIn,
  hasTables,
  migrateLedger,
  migrations,
} from '../../ledger/migrate.ts';
import { readLedgerId } from '../../ledger/read/rows.ts';

/** Where a ledger is copied to: a database on a Postgres server, or a data folder. */
export type Place =
  { kind: 'postgres'; url: string; name: string } | { kind: 'folder'; dir: string; name: string };

/** @throws VidbatchError exit 2 for a URL that cannot be used. */
export function parsePlace(text: string): Place {
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(text)) {
    const dir = resolve(text);
    return { kind: 'folder', dir, name: `the folder ${isThere(dir) ? realpathSync(dir) : dir}` };
  }
  try {
    return { kind: 'postgres', url: text, name: `Postgres at ${parsePostgresUrl(text).name}` };
  } catch (error) {
    if (!(error instanceof VidbatchError)) throw error;
    throw usageError(error.code, error.message.replace('DATABASE_URL', '--to'), error.hint);
  }
}

export interface Target {
  db: Database;
  /** Resolves when everything is on the disk. Idempotent. */
  close: () => Promise<void>;
}

/** The embedded database does not flush by itself. */
export async function flushDatabase(dir: string): Promise<void> {
  await flushFolder(databaseOf(dir)).catch((cause: unknown) => {
    throw diskError('DATABASE_FILES', dir, cause);
  });
}

export async function openPlace(place: Place): Promise<Target> {
  if (place.kind === 'folder') {
    refuseOtherFiles(place.dir);
    await expectLedger(place.dir);
    const folder = await openFolder(place.dir, { alone: true });
    return {
      db: folder.database,
      close: once(async () => {
        await folder.close();
        await flushDatabase(place.dir);
      }),
    };
  }
  const { pool, frequent, outage } = await connectPostgres(place.url);
  return {
    db: pool,
    close: once(async () => {
      await frequent?.end();
      await pool.end();
      outage.close();
    }),
  };
}

function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => (closing ??= close());
}

/** For errors of a database that is filled: its disk may be full. Other errors stay as they are. */
export function asFullDisk(cause: unknown, name: string): unknown {
  const system = cause instanceof VidbatchError ? undefined : systemError(cause);
  return system === 'ENOSPC' || system === 'EDQUOT' ? diskError('TARGET_FULL', name, cause) : cause;
}

/** What a data folder holds. */
const OF_DATA_FOLDER =
  /^(database(\.unfinished-\w+)?|journal|lock\.db|holder\.json(\.new)?|door\.sock|incoming)$/;

function refuseOtherFiles(dir: string): void {
  if (!isThere(dir)) return;
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (cause) {
    throw diskError('DATA_DIR', dir, cause);
  }
  const other = names.find((name) => !OF_DATA_FOLDER.test(name));
  if (other !== undefined) {
    throw refusal(
      'TARGET_NOT_EMPTY',
      `${dir}: holds other files, such as ${other}; nothing was copied`,
      'Name a new folder.',
    );
  }
}

/**
 * Makes an incomplete ledger in an empty place, or finds the incomplete one that an earlier try has left. Returns whether the
 * place holds a complete copy of this ledger already.
 * @throws VidbatchError exit 3 when the place holds another ledger or other tables: nothing there is ever deleted.
 */
export async function prepareTarget(
  db: Database,
  { ledgerId, place, from }: { ledgerId: string; place: Place; from: string },
): Promise<'incomplete' | 'complete'> {
  const { name } = place;
  const applied = await appliedMigrations(db);
  if (applied === null) {
    if (await hasTables(db)) throw notEmpty(`${name} has a schema vidbatch that is no ledger`);
    if (place.kind === 'postgres') {
      await expectLedgerIn(db);
      crashPoint('target-marked');
    }
    await migrateLedger(db, undefined, { ledgerId, incompleteFrom: from });
    crashPoint('target-made');
  }
  if (place.kind === 'folder') {
    // A power failure must not make the place look empty: a command would make a new ledger there.
    await flushDatabase(place.dir);
    await ledgerCame(place.dir);
  }
  if (applied !== null) {
    const { refused, missing } = compareMigrations(applied, await migrations());
    if (refused !== undefined || missing.length > 0)
      throw notEmpty(`${name} holds a ledger of another version`);
  }
  if ((await readLedgerId(db)) !== ledgerId) throw notEmpty(`${name} holds another ledger`);
  const closed = await readClosed(db);
  return closed?.code === 'incomplete' ? 'incomplete' : 'complete';
}

export function notEmpty(what: string): VidbatchError {
  return refusal(
    'TARGET_NOT_EMPTY',
    `${what}; nothing was copied`,
    'Name an empty database or a new folder. vidbatch never deletes a ledger, and never mixes two.',
  );
}
