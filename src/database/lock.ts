import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type * as Sqlite from 'node:sqlite';
import { VidbatchError } from '../core/errors.ts';
import { sqlite } from '../core/sqlite.ts';
import { diskTrouble, isThere } from './disk-trouble.ts';
import { checkFolder, secureLock } from './ownership.ts';

/** Who says that he holds the folder. Information for people, and where the door is; never trusted as a lock. */
export interface Holder {
  pid: number;
  /** RFC 3339. */
  startedAt: string;
  command: string;
  /** The socket's path, when it is not `door.sock` in the folder. */
  door?: string;
}

export interface FolderLock {
  held: true;
  /** Adds where the door is to the holder's note. */
  announce(door: string): void;
  /** Idempotent. */
  release(): void;
}

export interface FolderTaken {
  held: false;
  /** As the holder says; undefined when he has said nothing yet. */
  heldBy: number | undefined;
}

/**
 * Takes the folder for this process, or says who has it. The lock is the kernel's, on `lock.db`: it ends with the
 * process, kill -9 too, and holds among containers that share the volume, where a pid means nothing. It does not
 * wait. The folder is made, for this user alone, when there is none.
 *
 * The kernel drops a process's locks on a file when that process closes any descriptor of it: nothing else may
 * open `lock.db`.
 *
 * @throws VidbatchError when another user could change the folder.
 */
export function lockFolder(dir: string): FolderLock | FolderTaken {
  makeFolder(dir);
  checkFolder(dir);
  const database = tryLock(join(dir, 'lock.db'));
  if (database === undefined) return { held: false, heldBy: readHolder(dir)?.pid };
  const note = join(dir, 'holder.json');
  const holder: Holder = {
    pid: process.pid,
    startedAt: new Date().toISOString(),
    command: process.argv.join(' '),
  };
  try {
    writeNote(note, holder);
  } catch (cause) {
    database.close();
    throw cause;
  }
  return {
    held: true,
    announce: (door) => writeNote(note, { ...holder, door }),
    release: () => {
      if (!database.isOpen) return;
      rmSync(note, { force: true });
      database.close();
    },
  };
}

/** The note of who holds the folder; undefined when there is none, or none that can be read. */
export function readHolder(dir: string): Holder | undefined {
  try {
    const note = JSON.parse(readFileSync(join(dir, 'holder.json'), 'utf8')) as Partial<Holder> | null;
    return Number.isInteger(note?.pid) ? (note as Holder) : undefined;
  } catch {
    return undefined;
  }
}

function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(dir, cause);
  }
}

/** A kernel lock on a file of its own; undefined when another process has it. The file is made, and stays. */
export function lockFile(path: string): { release(): void } | undefined {
  const database = tryLock(path);
  return database && { release: () => database.isOpen && database.close() };
}

const SQLITE_BUSY = 5;

function tryLock(path: string): Sqlite.DatabaseSync | undefined {
  const { DatabaseSync } = sqlite();
  let database: Sqlite.DatabaseSync | undefined;
  try {
    secureLock(path);
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = memory; begin exclusive');
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof VidbatchError) throw cause;
    // The low byte is the error, the rest its variant.
    if (((cause as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) return undefined;
    throw unusable(path, systemCause(path) ?? cause);
  }
}

/** SQLite does not name the system's error. It is asked for again, without a descriptor of the lock itself. */
function systemCause(path: string): unknown {
  try {
    closeSync(openSync(dirname(path), 'r'));
    accessSync(isThere(path) ? path : dirname(path), constants.R_OK | constants.W_OK);
    return undefined;
  } catch (cause) {
    return cause;
  }
}

/** Written aside and renamed: a reader sees the old note or the new one, never half of one. */
function writeNote(path: string, holder: Holder): void {
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(holder, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): VidbatchError {
  return diskTrouble('DATA_DIR', path, cause);
}
