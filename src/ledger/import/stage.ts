import { randomUUID } from 'node:crypto';
import { VidbatchError } from '../../core/errors.ts';
import { transaction } from '../../database/database.ts';
import type { Database, Queryable } from '../../database/database.ts';

/** Opens an import, and sweeps away those of producers that died in the middle. */
export async function beginImport(db: Queryable, id: string = randomUUID()): Promise<string> {
  await db.query(
    `with swept as (delete from vidbatch.import where seen_at < now() - interval '15 minutes')
     insert into vidbatch.import (id) values ($1)`,
    [id],
  );
  return id;
}

/**
 * Says that the command is still at work, and holds its staged rows until the transaction ends. Rows that are gone must
 * not look like an empty file: a new batch would be empty, and rows of a known one would count as removed. If the import
 * still exists, everything that was read of its rows until now was complete.
 * @throws VidbatchError `IMPORT_LOST` when another command or a crash of the database has deleted them.
 */
export async function keepImport(db: Queryable, importId: string): Promise<void> {
  const { rowCount } = await db.query('update vidbatch.import set seen_at = now() where id = $1', [importId]);
  if (rowCount === 0) throw importLost();
}

/**
 * A statement that adds rows to the scratch tables of an import.
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

/** The scratch tables refer to nothing but their import. */
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

/** What a command writes beside the ledger: the tables that `import` owns, and `import` itself. */
const SCRATCH = 'vidbatch.import, vidbatch.staged, vidbatch.listed, vidbatch.paired, vidbatch.suspect';

/**
 * Forgets the scratch rows of a command. The last import that ends empties the tables as a whole: their files shrink to
 * nothing at once, and no vacuum has to remove a row. While another command uses the tables, or the role does not own them,
 * the rows are deleted one by one.
 */
export async function endImport(db: Database, importId: string): Promise<void> {
  const { rows } = await db.query('select from vidbatch.import where id <> $1 limit 1', [importId]);
  if (rows.length > 0 || !(await emptyScratch(db, importId)))
    await db.query('delete from vidbatch.import where id = $1', [importId]);
}

/** An autovacuum gives way after a second. */
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
