import { randomUUID } from 'node:crypto';
import { VidbatchError } from '../../core/errors.ts';
import { transaction, type Database, type Queryable } from '../../database/database.ts';

/** The command of an import has died, as SQL: it marks the import as in use much more often. */
export const ABANDONED = `seen_at < now() - interval '15 minutes'`;

/** Opens an import, and deletes those of commands that died. */
export async function beginImport(db: Queryable, id: string = randomUUID()): Promise<string> {
  await db.query(
    `with swept as (delete from vidbatch.import where ${ABANDONED})
     insert into vidbatch.import (id) values ($1)`,
    [id],
  );
  return id;
}

/**
 * Marks the import as in use, and keeps its rows until the transaction ends. If the import still exists, all that was read
 * of its rows was complete. Lost rows must not look like an empty file: a new batch would be empty, and rows of a known
 * batch would count as removed.
 * @throws VidbatchError `IMPORT_LOST` when another command or a crash of the database has deleted them.
 */
export async function keepImport(db: Queryable, importId: string): Promise<void> {
  const { rowCount } = await db.query('update vidbatch.import set seen_at = now() where id = $1', [importId]);
  if (rowCount === 0) throw importLost();
}

/**
 * Runs a statement that adds rows to the tables of an import.
 * @throws VidbatchError `IMPORT_LOST` when the import no longer exists: its earlier rows were deleted with it.
 */
export async function writeScratch(db: Queryable, sql: string, params: readonly unknown[]): Promise<void> {
  try {
    await db.query(sql, params);
  } catch (error) {
    if ((error as { code?: unknown }).code !== FOREIGN_KEY_VIOLATION) throw error;
    throw importLost(error);
  }
}

/** The tables of an import have no other foreign key than that to their import. */
const FOREIGN_KEY_VIOLATION = '23503';

export function importLost(cause?: unknown): VidbatchError {
  return new VidbatchError(
    'IMPORT_LOST',
    'the ledger no longer holds the rows that were read from the file: the database was restarted, or this command was suspended for 15 minutes',
    {
      hint: 'Run the same command again: rows that were sent are not sent again, and settled rows stay settled.',
      cause,
    },
  );
}

const SCRATCH = 'vidbatch.import, vidbatch.staged, vidbatch.listed, vidbatch.paired, vidbatch.suspect';

/**
 * Deletes an import and its rows. The last import that ends truncates the tables: that leaves nothing to vacuum. The rows
 * are deleted one by one while another command uses the tables, or when the role does not own them.
 */
export async function endImport(db: Database, importId: string): Promise<void> {
  const { rows } = await db.query('select from vidbatch.import where id <> $1 limit 1', [importId]);
  if (rows.length > 0 || !(await emptyScratch(db, importId)))
    await db.query('delete from vidbatch.import where id = $1', [importId]);
}

/** An autovacuum gives up its lock after a second. */
const LOCK_MS = 2_000;

async function emptyScratch(db: Database, importId: string): Promise<boolean> {
  try {
    return await transaction(db, async (session) => {
      await session.query(`set local lock_timeout = ${LOCK_MS}`);
      await session.query(`lock table ${SCRATCH} in access exclusive mode`);
      const { rows } = await session.query('select from vidbatch.import where id <> $1 limit 1', [importId]);
      if (rows.length > 0) return false;
      await session.query(`truncate ${SCRATCH}`);
      return true;
    });
  } catch (error) {
    if (BUSY.includes((error as { code?: string }).code ?? '')) return false;
    throw error;
  }
}

/** `lock_not_available`, `insufficient_privilege`. */
const BUSY = ['55P03', '42501'];

/** A checked row of a manifest on its way into the ledger. Without `request` it is invalid. */
export interface StagedRow {
  position: number;
  line: number;
  /** The id; for rows without ids, what their key is made of. */
  keyBasis: string;
  /** The key ends in the number of the row among those with the same basis. */
  numbered: boolean;
  input: string;
  request: string | null;
  contentHash: string | null;
  model: string | null;
  mode: string | null;
  notBefore: string | null;
  priority: number;
  errorCode: string | null;
  error: string | null;
}

/** In the order of the parameters of `stageRows`. */
const COLUMNS = [
  'position',
  'line',
  'keyBasis',
  'numbered',
  'input',
  'request',
  'contentHash',
  'model',
  'mode',
  'notBefore',
  'priority',
  'errorCode',
  'error',
] as const satisfies (keyof StagedRow)[];

/** @throws VidbatchError `IMPORT_LOST` */
export async function stageRows(db: Queryable, importId: string, rows: readonly StagedRow[]): Promise<void> {
  await writeScratch(
    db,
    `with seen as (update vidbatch.import set seen_at = now() where id = $1)
     insert into vidbatch.staged
       (import_id, position, line, key_basis, numbered, row_key, input, request, content_hash, model, mode, not_before, priority,
        error_code, error)
     select $1, position, line, key_basis, numbered, case when not numbered then key_basis end, input, request, content_hash,
            model, mode, not_before, priority, error_code, error
       from unnest($2::bigint[], $3::int[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],
                              $9::text[], $10::text[], $11::timestamptz[], $12::smallint[], $13::text[], $14::text[])
         as r(position, line, key_basis, numbered, input, request, content_hash, model, mode, not_before, priority, error_code, error)`,
    [importId, ...COLUMNS.map((column) => rows.map((row) => row[column]))],
  );
}

/**
 * Numbers identical rows without ids: two identical rows are two videos. Rows of an export know their keys. The other rows
 * take the lowest free numbers.
 */
export async function assignKeys(db: Queryable, importId: string, rows: number): Promise<void> {
  if (rows > FEW) await analyseStaged(db);
  const { rows: numbered } = await db.query(
    'select from vidbatch.staged where import_id = $1 and numbered limit 1',
    [importId],
  );
  if (numbered.length === 0) return;
  await db.query(
    `with row as (
       select position, key_basis, row_number() over (partition by key_basis order by position) as rank
         from vidbatch.staged where import_id = $1 and numbered
     ), given as (
       select substring(key_basis from '^(.*)#') as key_basis, substring(key_basis from '#(.*)$')::numeric as occurrence
         from vidbatch.staged where import_id = $1 and not numbered and key_basis ~ '^(h1|invalid):[0-9a-f]+#[0-9]+$'
     ), mixed as (
       select key_basis, count(*) + (select count(*) from given g where g.key_basis = row.key_basis) as most
         from row where key_basis in (select key_basis from given) group by key_basis
     ), left_over as (
       select m.key_basis, n as occurrence, row_number() over (partition by m.key_basis order by n) as rank
         from mixed m cross join lateral generate_series(1, m.most) n
        where not exists (select from given g where g.key_basis = m.key_basis and g.occurrence = n)
     )
     update vidbatch.staged s
        set row_key = s.key_basis || '#' || k.occurrence
       from (select t.position, coalesce(l.occurrence, r.rank) as occurrence
               from vidbatch.staged t
               left join row r on r.position = t.position
               left join left_over l on l.key_basis = r.key_basis and l.rank = r.rank
              where t.import_id = $1 and t.numbered) k
      where s.import_id = $1 and s.position = k.position`,
    [importId],
  );
  await analyseStaged(db);
}

/** With so few rows, a plan that compares each row with each other row is fast enough. */
const FEW = 100;

/** Without statistics, the planner compares each staged row with each other: 10 s for 10,000 rows instead of 25 ms. */
async function analyseStaged(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.staged (import_id, position, row_key, content_hash)');
}
