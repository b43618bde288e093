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
import { diskError, isThere } from './disk-errors.ts';
import { checkFolder, secureLock } from './ownership.ts';

/** The note of the process that holds the folder. It is for people and for the path of the socket; it is not the lock. */
export interface Holder {
  pid: number;
  startedAt: string;
  command: string;
  /** The path of its socket; undefined: not known yet. */
  door?: string;
}

export interface FolderLock {
  held: true;
  /** Adds the path of the socket to the holder's note. */
  announce(socketPath: string): void;
  /** Idempotent. */
  release(): void;
}

export interface FolderTaken {
  held: false;
  /** The pid in the holder's note; undefined: there is no note yet. */
  heldBy: number | undefined;
}

/**
 * Takes the folder for this process, or says which process has it. Does not wait. Makes a missing folder, for this user
 * alone.
 *
 * It is a lock of the kernel on `lock.db`. So it ends with the process, also after kill -9, and it works between
 * containers that share the volume, where a pid means nothing. The kernel drops a process's locks on a file when that
 * process closes any descriptor of the file: no other code may open `lock.db`.
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
    unlock(database);
    throw cause;
  }
  return {
    held: true,
    announce: (socketPath) => writeNote(note, { ...holder, door: socketPath }),
    release: () => {
      if (!database.isOpen) return;
      rmSync(note, { force: true });
      unlock(database);
    },
  };
}

/** The holder's note; undefined: there is no readable one. */
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

/** A kernel lock on a file that it makes and keeps; undefined: another process has it. */
export function lockFile(path: string): { release(): void } | undefined {
  const database = tryLock(path);
  return database && { release: () => database.isOpen && unlock(database) };
}

/** A lock must not end because its owner has forgotten it: Node closes a database that nothing refers to any more. */
const held = new Set<Sqlite.DatabaseSync>();

function unlock(database: Sqlite.DatabaseSync): void {
  held.delete(database);
  database.close();
}

const SQLITE_BUSY = 5;

function tryLock(path: string): Sqlite.DatabaseSync | undefined {
  const { DatabaseSync } = sqlite();
  let database: Sqlite.DatabaseSync | undefined;
  try {
    secureLock(path);
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = memory; begin exclusive');
    held.add(database);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof VidbatchError) throw cause;
    // The low byte is the error, the other bytes are its variant.
    if (((cause as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) return undefined;
    throw unusable(path, systemCause(path) ?? cause);
  }
}

/** SQLite does not name the system error. This finds it without a descriptor of the lock file. */
function systemCause(path: string): unknown {
  try {
    closeSync(openSync(dirname(path), 'r'));
    accessSync(isThere(path) ? path : dirname(path), constants.R_OK | constants.W_OK);
    return undefined;
  } catch (cause) {
    return cause;
  }
}

/** Writes beside it and renames: a reader sees the old note or the new one, never a part. */
function writeNote(path: string, holder: Holder): void {
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(holder, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): VidbatchError {
  return diskError('DATA_DIR', path, cause);
}
