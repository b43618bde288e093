import { accessSync, constants, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { VidbatchError, messageOf } from '../core/errors.ts';
import { crashPoint } from '../core/crash-points.ts';
import { diskTrouble, isThere, systemError } from './disk-trouble.ts';
import { unpackImage } from './image.ts';

/** The major version of Postgres inside PGlite, which its files must have. */
const MAJOR = '18';

/**
 * Whether there is a database in `dir`. An empty folder holds none. A folder that cannot be read may hold one.
 * @throws VidbatchError for every error but ENOENT.
 */
export function hasFiles(dir: string): boolean {
  if (!isThere(dir)) return false;
  try {
    return readdirSync(dir).length > 0;
  } catch (cause) {
    throw diskTrouble('DATABASE_FILES', dir, cause);
  }
}

/**
 * Starts PGlite on the files in `dir`, and makes them when there are none. They are made in a folder beside it, which
 * gets the name `dir` once it is whole: so `dir` is whole or absent, and no start ever removes it.
 */
export async function openFiles(dir: string): Promise<PGlite> {
  try {
    if (hasFiles(dir)) {
      await checkVersion(dir);
      checkAccess(dir);
    } else {
      await make(dir);
    }
    const database = await start(dir);
    // Earlier versions removed the whole database where they found this file.
    await rm(`${dir}.making`, { force: true });
    return database;
  } catch (cause) {
    if (cause instanceof VidbatchError) throw cause;
    throw diskTrouble('DATABASE_FILES', pathOf(cause) ?? dir, cause);
  }
}

async function make(dir: string): Promise<void> {
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  await removeUnfinished(dir);
  const unfinished = await mkdtemp(`${dir}${UNFINISHED}`);
  try {
    await unpackImage(unfinished);
    await flush(unfinished);
    crashPoint('database-made');
    // Fails where `dir` has become a folder with files.
    await rename(unfinished, dir);
    await flushOne(dirname(dir));
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    throw cause;
  }
}

const UNFINISHED = '.unfinished-';

/** What a first start left that was killed: no ledger was ever in it. Under the folder's lock, it has no other owner. */
async function removeUnfinished(dir: string): Promise<void> {
  const beginning = `${basename(dir)}${UNFINISHED}`;
  for (const name of await readdir(dirname(dir))) {
    if (name.startsWith(beginning) && /^[A-Za-z0-9]{6}$/.test(name.slice(beginning.length))) {
      await rm(join(dirname(dir), name), { recursive: true });
    }
  }
}

/** All files of the folder, and their names, onto the disk. */
async function flush(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = [dir, ...entries.map(({ parentPath, name }) => join(parentPath, name))];
  const next = paths.values();
  const flushEach = async (): Promise<void> => {
    for (const path of next) await flushOne(path);
  };
  await Promise.all(Array.from({ length: 8 }, flushEach));
}

async function flushOne(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function checkVersion(dir: string): Promise<void> {
  const path = join(dir, 'PG_VERSION');
  const found = isThere(path) ? (await readFile(path, 'utf8')).trim() : '';
  if (found === MAJOR) return;
  if (!/^\d+$/.test(found)) throw damaged(dir, 'PG_VERSION is missing or cannot be understood');
  throw new VidbatchError(
    'DATABASE_VERSION',
    `${dir}: the database was written by Postgres ${JSON.stringify(found.slice(0, 20))}, this vidbatch reads Postgres ${MAJOR}`,
    { hint: 'Open it with the vidbatch that wrote it.' },
  );
}

/** Whether this user may read and write each file: Postgres would find out in the middle of a recovery. */
function checkAccess(dir: string): void {
  const { R_OK, W_OK, X_OK } = constants;
  accessSync(dir, R_OK | W_OK | X_OK);
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) checkAccess(path);
    else accessSync(path, R_OK | W_OK);
  }
}

async function start(dir: string): Promise<PGlite> {
  const said: string[] = [];
  try {
    return await PGlite.create(dir, {
      onStderr: (line) => {
        if (said.length < 100) said.push(line);
        return false;
      },
    });
  } catch (cause) {
    if (systemError(cause, said) !== undefined) throw diskTrouble('DATABASE_FILES', dir, cause, said);
    const complaints = said.flatMap((line) => /(?:FATAL|PANIC):\s+(.*)/.exec(line)?.[1] ?? []);
    throw damaged(dir, complaints.join('; ') || messageOf(cause), cause);
  }
}

function damaged(dir: string, what: string, cause?: unknown): VidbatchError {
  return new VidbatchError('DATABASE_DAMAGED', `${dir}: the database does not start: ${what}`, {
    cause,
    hint: 'Restore database/ alone from a backup, and keep journal/ as it is: it knows what was paid since. An empty ledger would pay for every row again.',
  });
}

function pathOf(cause: unknown): string | undefined {
  const { path } = (cause ?? {}) as { path?: unknown };
  return typeof path === 'string' ? path : undefined;
}
