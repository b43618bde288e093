import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { VidbatchError, messageOf } from '../errors.ts';

/** The major version of Postgres inside PGlite, which its files must have. */
const MAJOR = '18';

/**
 * Starts PGlite on the files in `dir`. A first start that was cut off leaves files that no start can use: the
 * marker beside them, removed when they are complete, tells so, and they are made anew. Nothing is lost by it:
 * nothing was acknowledged while the marker stood.
 */
export async function openFiles(dir: string): Promise<PGlite> {
  const marker = `${dir}.making`;
  try {
    if (existsSync(marker)) await rm(dir, { recursive: true, force: true });
    const making = !existsSync(join(dir, 'PG_VERSION'));
    if (making) {
      await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
      await writeFile(marker, '');
    } else {
      await checkVersion(dir);
    }
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const db = await start(dir);
    if (making) await rm(marker);
    return db;
  } catch (cause) {
    if (cause instanceof VidbatchError) throw cause;
    throw new VidbatchError('DATABASE_FILES', `${dir}: cannot open the database: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function checkVersion(dir: string): Promise<void> {
  const found = (await readFile(join(dir, 'PG_VERSION'), 'utf8')).trim();
  if (found === MAJOR) return;
  throw new VidbatchError(
    'DATABASE_VERSION',
    `${dir}: the database was written by Postgres ${JSON.stringify(found.slice(0, 20))}, this vidbatch reads Postgres ${MAJOR}`,
    { hint: 'Open it with the vidbatch that wrote it, or give another folder with VIDBATCH_DATA_DIR.' },
  );
}

async function start(dir: string): Promise<PGlite> {
  const complaints: string[] = [];
  try {
    return await PGlite.create(dir, {
      onStderr: (line) => {
        const complaint = /(?:FATAL|PANIC):\s+(.*)/.exec(line)?.[1];
        if (complaint !== undefined) complaints.push(complaint);
        return false;
      },
    });
  } catch (cause) {
    throw new VidbatchError(
      'DATABASE_DAMAGED',
      `${dir}: the database does not start: ${complaints.join('; ') || messageOf(cause)}`,
      { cause, hint: 'Restore the folder from a backup, or move it away to begin with an empty ledger.' },
    );
  }
}
