/**
 * The room `ledger` holds the schema and every SQL statement, by topic.
 * It may import database and core.
 * Its SQL has short names for the tables of every statement: `s` is a submission or its `row_state`, `r` a `row`, `b` its
 * batch, `a` an attempt, `t` a task or a staged row, `p` a provider, `m` the row of `meta`.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import { VidbatchError } from '../core/errors.ts';
import { crashPoint } from '../core/crash-points.ts';
import { transaction, type Database, type Queryable } from '../database/database.ts';
import { ledgerExpected } from '../database/incoming.ts';

/** "vidb": one process migrates at a time. */
const ADVISORY_LOCK = 0x76696462;
const FOLDER = new URL('./migrations/', import.meta.url);

export interface Migration {
  version: number;
  name: string;
  /** SHA-256 of the applied file, in hex; null: a ledger from before the first release. */
  sha256: string | null;
}

/** The numbered files of `migrations/`, in order. There is no way back. */
export async function migrations(folder = FOLDER): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8');
      // A Git checkout may have other line ends than the package.
      const sha256 = createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
      return { version: Number(name.slice(0, 3)), name, sha256 };
    }),
  );
}

/**
 * Brings the schema `vidbatch` up to date, in one transaction under an advisory lock. Returns the names of applied files.
 * @throws VidbatchError `LEDGER_TOO_NEW` when a later vidbatch has migrated it, `LEDGER_UNKNOWN` when its schema comes from
 * other files.
 */
export async function migrateLedger(
  database: Database,
  folder = FOLDER,
  made: NewLedger = {},
): Promise<string[]> {
  const known = await migrations(folder);
  if (await isCurrent(database, known)) return [];
  return againstRace(() => migrate(database, known, folder, made));
}

/** How a ledger is made that does not exist yet. */
interface NewLedger {
  /** Default: a new id. */
  ledgerId?: string;
  /** The ledger that is copied into it. Until its rows have come it is incomplete, and no command uses it. */
  incompleteFrom?: string;
}

/** Most starts have nothing to migrate: two queries see this without a lock. */
async function isCurrent(db: Queryable, known: readonly Migration[]): Promise<boolean> {
  const applied = await appliedMigrations(db, 'where exists (select from vidbatch.meta)');
  if (applied === null) return false;
  const { refused, missing } = compareMigrations(applied, known);
  return refused === undefined && missing.length === 0;
}

/**
 * Postgres may read its catalogue from before the advisory lock was granted. Then `create schema if not exists` fails,
 * because another process has just made the schema. The second try sees the schema.
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

function migrate(
  database: Database,
  known: readonly Migration[],
  folder: URL,
  { ledgerId = randomBytes(5).toString('hex'), incompleteFrom }: NewLedger,
): Promise<string[]> {
  return transaction(database, async (session) => {
    await session.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    await session.query('create schema if not exists vidbatch');
    if (incompleteFrom === undefined) await refuseExpected(session);
    else await session.query('drop table if exists vidbatch.incoming');
    await session.query(
      `create table if not exists vidbatch.migration (
         version integer primary key, name text not null, sha256 text not null,
         applied_at timestamptz not null default now())`,
    );
    const { refused, missing } = compareMigrations((await appliedMigrations(session)) ?? [], known);
    if (refused !== undefined) throw refusedLedger(refused);
    for (const migration of missing) {
      await session.query(await readFile(new URL(migration.name, folder), 'utf8'));
      await session.query('insert into vidbatch.migration (version, name, sha256) values ($1, $2, $3)', [
        migration.version,
        migration.name,
        migration.sha256,
      ]);
      crashPoint('ledger-migrating');
    }
    await session.query(
      `insert into vidbatch.meta (ledger_id, closed_code, closed_note, closed_at)
       values ($1, case when $2::text is not null then 'incomplete' end, $2, case when $2::text is not null then now() end)
       on conflict do nothing`,
      [ledgerId, incompleteFrom ?? null],
    );
    return missing.map((migration) => migration.name);
  });
}

/**
 * Marks an empty database as the place of a ledger that is copied there, before anything else is written: if the copy dies in
 * its first second, the database does not look new.
 */
export async function expectLedgerIn(database: Database): Promise<void> {
  await againstRace(() =>
    transaction(database, async (session) => {
      await session.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
      if ((await appliedMigrations(session)) !== null) return;
      await session.query('create schema if not exists vidbatch');
      await session.query('create table if not exists vidbatch.incoming ()');
    }),
  );
}

/** Whether the schema of ledgers has tables, beside the mark of `expectLedgerIn`. */
export async function hasTables(db: Queryable): Promise<boolean> {
  const { rows } = await db.query(
    `select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'vidbatch' and c.relname <> 'incoming' limit 1`,
  );
  return rows.length > 0;
}

/** Whether the database has a schema of this name, such as that of a queue. */
export async function hasSchema(db: Queryable, name: string): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>('select to_regnamespace($1) is not null as there', [
    name,
  ]);
  return rows[0]?.there === true;
}

/** @throws VidbatchError exit 3 when a copy of a ledger was begun here, and its tables are not there yet. */
export async function refuseExpected(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ there: boolean }>(
    `select to_regclass('vidbatch.incoming') is not null as there`,
  );
  if (rows[0]?.there === true) throw ledgerExpected('the database of DATABASE_URL');
}

/** Whether every known migration has been applied; reads only. A later vidbatch may have applied more. */
export async function isMigrated(database: Database): Promise<boolean> {
  const applied = await appliedMigrations(database);
  if (applied === null) return false;
  const { refused, missing } = compareMigrations(applied, await migrations());
  if (refused?.code === 'LEDGER_UNKNOWN') throw refusedLedger(refused);
  return missing.length === 0;
}

/** For a client of the folder's holder: the holder migrates, perhaps only later. */
export async function refuseUnknownLedger(database: Database): Promise<void> {
  await isMigrated(database);
}

/** The applied files, in order; null: there is no ledger. */
export async function appliedMigrations(db: Queryable, only = ''): Promise<Migration[] | null> {
  const { rows: found } = await db.query<{ there: boolean }>(
    `select to_regclass('vidbatch.migration') is not null as there`,
  );
  if (found[0]?.there !== true) return null;
  const { rows } = await db.query<Migration>(
    // As JSON, because the table of an old ledger has no column sha256.
    `select version, name, to_jsonb(m) ->> 'sha256' as sha256 from vidbatch.migration m ${only} order by version`,
  );
  return rows;
}

/** Why this vidbatch must not touch a ledger. */
interface Refused {
  code: 'LEDGER_TOO_NEW' | 'LEDGER_UNKNOWN';
  what: string;
  hint: string;
}

/** Compares the applied files of a ledger with the files of this vidbatch. */
export function compareMigrations(
  applied: readonly Migration[],
  known: readonly Migration[],
): { refused?: Refused; missing: Migration[] } {
  const ofVersion = new Map(applied.map((one) => [one.version, one]));
  const missing = known.filter(({ version }) => !ofVersion.has(version));
  // Another file under the same number means another schema, also under the highest number. A released file never
  // changes, so a ledger of a released version passes this check in every later version.
  for (const { version, name, sha256 } of known) {
    const held = ofVersion.get(version);
    if (held === undefined || (held.name === name && held.sha256 === sha256)) continue;
    const difference =
      held.name === name
        ? `another version of ${name} than this vidbatch`
        : `${held.name}, but this vidbatch has ${name}`;
    return {
      refused: {
        code: 'LEDGER_UNKNOWN',
        what: `holds ${difference}: it was made by a vidbatch from before the first release`,
        hint: 'Nothing was changed. Use the vidbatch that made it until all of its rows are done. A new ledger would send these rows again and pay for them again.',
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
