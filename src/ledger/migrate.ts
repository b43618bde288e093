/**
 * The room `ledger` holds the schema and every SQL statement, by topic.
 * It may import database and core.
 */
import { readdir, readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { VidbatchError } from '../core/errors.ts';
import { reached } from '../core/point.ts';
import type { Database, Queryable } from '../database/database.ts';
import { transaction } from '../database/database.ts';

/** "vidb": serialises migrations of the ledger across processes. */
const ADVISORY_LOCK = 0x76696462;
const FOLDER = new URL('./migrations/', import.meta.url);

export interface Migration {
  version: number;
  name: string;
}

/** The numbered files of `migrations/`, in order. They only ever roll forward. */
export async function migrations(folder = FOLDER): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return names.map((name) => ({ version: Number(name.slice(0, 3)), name }));
}

/**
 * Brings the schema `vidbatch` up to date, in one transaction under an advisory lock. Returns the names applied.
 * @throws VidbatchError `LEDGER_TOO_NEW` when a later version of vidbatch has been here, `LEDGER_UNKNOWN` when the
 * schema was made of other files.
 */
export async function migrateLedger(database: Database, folder = FOLDER): Promise<string[]> {
  const known = await migrations(folder);
  return againstRace(() => migrate(database, known, folder));
}

/**
 * Postgres may look at its catalogue as it was before the advisory lock was granted; then `create schema if not exists`
 * fails over what the other one has just made. The second try sees it.
 */
export async function againstRace<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!RACES.has((error as { code?: string }).code ?? '')) throw error;
    return work();
  }
}

/** unique_violation, duplicate_schema, duplicate_table */
const RACES = new Set(['23505', '42P06', '42P07']);

function migrate(database: Database, known: readonly Migration[], folder: URL): Promise<string[]> {
  return transaction(database, async (session) => {
    await session.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    await session.query('create schema if not exists vidbatch');
    await session.query(
      `create table if not exists vidbatch.migration (
         version integer primary key, name text not null, applied_at timestamptz not null default now())`,
    );
    const { refused, missing } = compareMigrations((await appliedMigrations(session)) ?? [], known);
    if (refused !== undefined) throw refusedLedger(refused);
    for (const migration of missing) {
      await session.query(await readFile(new URL(migration.name, folder), 'utf8'));
      await session.query('insert into vidbatch.migration (version, name) values ($1, $2)', [
        migration.version,
        migration.name,
      ]);
      reached('ledger-migrating');
    }
    await session.query('insert into vidbatch.meta (ledger_id) values ($1) on conflict do nothing', [
      randomBytes(5).toString('hex'),
    ]);
    return missing.map((migration) => migration.name);
  });
}

/** Whether every known migration has been applied; reads only. A later vidbatch may have applied more. */
export async function isMigrated(database: Database): Promise<boolean> {
  const applied = await appliedMigrations(database);
  if (applied === null) return false;
  const { refused, missing } = compareMigrations(applied, await migrations());
  if (refused?.code === 'LEDGER_UNKNOWN') throw refusedLedger(refused);
  return missing.length === 0;
}

/** For a process that does not migrate itself, while the holder of the folder may still be about to. */
export async function refuseUnknownLedger(database: Database): Promise<void> {
  await isMigrated(database);
}

/** In the order in which they were applied; null: there is no ledger. */
export async function appliedMigrations(db: Queryable): Promise<Migration[] | null> {
  const { rows: found } = await db.query<{ there: boolean }>(
    `select to_regclass('vidbatch.migration') is not null as there`,
  );
  if (found[0]?.there !== true) return null;
  const { rows } = await db.query<Migration>('select version, name from vidbatch.migration order by version');
  return rows;
}

/** Why this vidbatch must not touch a ledger. */
export interface Refused {
  code: 'LEDGER_TOO_NEW' | 'LEDGER_UNKNOWN';
  what: string;
  hint: string;
}

/** What was applied to a ledger, against the files of this vidbatch. */
export function compareMigrations(
  applied: readonly Migration[],
  known: readonly Migration[],
): { refused?: Refused; missing: Migration[] } {
  const nameOf = new Map(applied.map(({ version, name }) => [version, name]));
  const missing = known.filter(({ version }) => !nameOf.has(version));
  // The same number under another name: the schema is another one, whatever its highest number is.
  const other = known.find(({ version, name }) => nameOf.has(version) && nameOf.get(version) !== name);
  if (other !== undefined) {
    return {
      refused: {
        code: 'LEDGER_UNKNOWN',
        what: `holds ${nameOf.get(other.version)}, where this vidbatch has ${other.name}: it was made by an earlier vidbatch, from before the first release`,
        hint: 'Nothing was changed. Open it with the vidbatch that made it, until its rows are done: a new ledger would send and pay for them again.',
      },
      missing,
    };
  }
  const latest = known.at(-1)?.version ?? 0;
  const newest = applied.at(-1)?.version ?? 0;
  if (newest > latest) {
    return {
      refused: {
        code: 'LEDGER_TOO_NEW',
        what: `is at migration ${newest}, this vidbatch knows up to ${latest}`,
        hint: 'Use the newer vidbatch that was here before; a ledger is never migrated backwards.',
      },
      missing,
    };
  }
  return { missing };
}

function refusedLedger({ code, what, hint }: Refused): VidbatchError {
  return new VidbatchError(code, `the ledger ${what}`, { hint });
}
