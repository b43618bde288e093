/**
 * The room `ledger` holds the schema and every SQL statement, by topic.
 * It may import database and core.
 */
import { readdir, readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { VidbatchError } from '../core/errors.ts';
import { reached } from '../core/point.ts';
import type { Database } from '../database/database.ts';
import { transaction } from '../database/database.ts';

/** "vidb": serialises migrations of the ledger across processes. */
const ADVISORY_LOCK = 0x76696462;
const FOLDER = new URL('./migrations/', import.meta.url);

export interface Migration {
  version: number;
  name: string;
}

/** The numbered files of `migrations/`, in order. They only ever roll forward. */
export async function migrations(): Promise<Migration[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql')).sort();
  return names.map((name) => ({ version: Number(name.slice(0, 3)), name }));
}

/**
 * Brings the schema `vidbatch` up to date, in one transaction under an advisory lock. Returns the names applied.
 * @throws VidbatchError `LEDGER_TOO_NEW` when a later version of vidbatch has been here.
 */
export async function migrateLedger(database: Database): Promise<string[]> {
  const known = await migrations();
  return againstRace(() => migrate(database, known));
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

function migrate(database: Database, known: readonly Migration[]): Promise<string[]> {
  return transaction(database, async (session) => {
    await session.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    await session.query('create schema if not exists vidbatch');
    await session.query(
      `create table if not exists vidbatch.migration (
         version integer primary key, name text not null, applied_at timestamptz not null default now())`,
    );
    const { rows } = await session.query<{ version: number }>('select version from vidbatch.migration');
    const applied = new Set(rows.map((row) => row.version));
    const latest = known.at(-1)?.version ?? 0;
    const newest = Math.max(0, ...applied);
    if (newest > latest) {
      throw new VidbatchError(
        'LEDGER_TOO_NEW',
        `the ledger is at migration ${newest}, this vidbatch knows up to ${latest}`,
        { hint: 'Use the newer vidbatch that was here before; a ledger is never migrated backwards.' },
      );
    }
    const missing = known.filter((migration) => !applied.has(migration.version));
    for (const migration of missing) {
      await session.query(await readFile(new URL(migration.name, FOLDER), 'utf8'));
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

/** Whether every known migration has been applied; reads only. */
export async function isMigrated(database: Database): Promise<boolean> {
  const { rows } = await database.query<{ there: boolean }>(
    `select to_regclass('vidbatch.migration') is not null as there`,
  );
  if (rows[0]?.there !== true) return false;
  const latest = (await migrations()).at(-1)?.version ?? 0;
  const { rows: found } = await database.query<{ version: number | null }>(
    'select max(version) as version from vidbatch.migration',
  );
  return (found[0]?.version ?? 0) >= latest;
}
