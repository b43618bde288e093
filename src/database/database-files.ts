import { randomBytes } from 'node:crypto';
import { accessSync, constants, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import { VidbatchError, messageOf } from '../core/errors.ts';
import { crashPoint } from '../core/crash-points.ts';
import { diskError, isThere, systemError } from './disk-errors.ts';
import { flush } from './flush.ts';

/** The major version of the Postgres in PGlite. Its files must have the same. */
const MAJOR = '18';

/**
 * Whether there is a database in `dir`. An empty folder holds none.
 * @throws VidbatchError for every error but ENOENT: a folder that cannot be read may hold one.
 */
export function hasFiles(dir: string): boolean {
  if (!isThere(dir)) return false;
  try {
    return readdirSync(dir).length > 0;
  } catch (cause) {
    throw diskError('DATABASE_FILES', dir, cause);
  }
}

/**
 * Starts PGlite on the files in `dir`, or makes them first. It makes them in a folder beside it, which gets
 * the name `dir` when it is complete. So `dir` is complete or absent, and no start ever removes it.
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
    throw diskError('DATABASE_FILES', pathOf(cause) ?? dir, cause);
  }
}

async function make(dir: string): Promise<void> {
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  await removeUnfinished(dir);
  const unfinished = await mkdtemp(`${dir}${UNFINISHED}`);
  try {
    await unpackImage(unfinished);
    await flushFolder(unfinished);
    crashPoint('database-made');
    // Fails where `dir` has become a folder with files.
    await rename(unfinished, dir);
    await flush(dirname(dir));
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    throw cause;
  }
}

const UNFINISHED = '.unfinished-';

/** Removes what a killed first start left. The caller holds the lock, so no other process is making it. */
async function removeUnfinished(dir: string): Promise<void> {
  const beginning = `${basename(dir)}${UNFINISHED}`;
  for (const name of await readdir(dirname(dir))) {
    if (name.startsWith(beginning) && /^[A-Za-z0-9]{6}$/.test(name.slice(beginning.length))) {
      await rm(join(dirname(dir), name), { recursive: true });
    }
  }
}

/** Flushes all files of the folder, and their names, to the disk. A database that runs may remove files meanwhile. */
export async function flushFolder(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = [dir, ...entries.map(({ parentPath, name }) => join(parentPath, name))];
  const next = paths.values();
  const flushEach = async (): Promise<void> => {
    for (const path of next) {
      await flush(path).catch((cause: unknown) => {
        if (systemError(cause) !== 'ENOENT') throw cause;
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, flushEach));
}

async function checkVersion(dir: string): Promise<void> {
  const path = join(dir, 'PG_VERSION');
  const found = isThere(path) ? (await readFile(path, 'utf8')).trim() : '';
  if (found === MAJOR) return;
  if (!/^\d+$/.test(found)) throw damaged(dir, 'PG_VERSION is missing or unreadable');
  throw new VidbatchError(
    'DATABASE_VERSION',
    `${dir}: the database was written by Postgres ${JSON.stringify(found.slice(0, 20))}, this vidbatch reads Postgres ${MAJOR}`,
    { hint: 'Open it with the vidbatch that wrote it.' },
  );
}

/** Checks that this user may read and write each file. Otherwise Postgres finds out in the middle of a recovery. */
function checkAccess(dir: string): void {
  const { R_OK, W_OK, X_OK } = constants;
  accessSync(dir, R_OK | W_OK | X_OK);
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) checkAccess(path);
    else accessSync(path, R_OK | W_OK);
  }
}

/**
 * Each start clears this memory: with the 128 MB of Postgres, a command took 0.4 s longer. A worker on 60,000 rows was not
 * slower (measured).
 */
const CACHE = '32MB';

async function start(dir: string): Promise<PGlite> {
  const printed: string[] = [];
  try {
    return await PGlite.create(dir, {
      startParams: [...PGlite.defaultStartParams, '-c', `shared_buffers=${CACHE}`],
      onStderr: (line) => {
        if (printed.length < 100) printed.push(line);
        return false;
      },
    });
  } catch (cause) {
    if (systemError(cause, printed) !== undefined) throw diskError('DATABASE_FILES', dir, cause, printed);
    const complaints = printed.flatMap((line) => /(?:FATAL|PANIC):\s+(.*)/.exec(line)?.[1] ?? []);
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

/**
 * The files that initdb makes, packed: initdb takes 4 s of CPU and 1 GB, and makes the same files each time. The first line
 * lists them as JSON, folders without a size. Their bytes follow. `npm run image` makes it.
 */
const IMAGE = new URL('./image.zst', import.meta.url);

export type ImageEntry = [path: string, bytes?: number];

/** Larger than all files together: to unpack them in one piece takes a tenth of the time. */
const chunkSize = 64 * 1024 * 1024;

/** Makes the files of an empty database in the empty folder `dir`. */
export async function unpackImage(dir: string): Promise<void> {
  const packed = await promisify(zstdDecompress)(await readFile(IMAGE), { chunkSize });
  const list = packed.indexOf('\n');
  let at = list + 1;
  for (const [path, bytes] of JSON.parse(packed.toString('utf8', 0, list)) as ImageEntry[]) {
    if (bytes === undefined) {
      await mkdir(join(dir, path), { mode: 0o700 });
      continue;
    }
    await writeFile(join(dir, path), packed.subarray(at, at + bytes), { mode: 0o600 });
    at += bytes;
  }
  await identify(dir);
}

/** The places of the identifier: `ControlFileData` of Postgres 18, and the long header of a log's first page. */
const ID = { control: 0, log: 24 };
const CHECKSUM = 292;

/**
 * Gives the database an identifier of its own. A restore may put the log of another database beside these files: Postgres
 * compares the identifiers and refuses that log.
 */
async function identify(dir: string): Promise<void> {
  const id = randomBytes(8);
  const control = join(dir, 'global', 'pg_control');
  const bytes = await readFile(control);
  id.copy(bytes, ID.control);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, CHECKSUM)), CHECKSUM);
  await writeFile(control, bytes);
  for (const name of await readdir(join(dir, 'pg_wal'))) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue;
    const log = await open(join(dir, 'pg_wal', name), 'r+');
    await log.write(id, 0, id.length, ID.log);
    await log.close();
  }
}

/** CRC-32C (Castagnoli), which Node does not have. */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
