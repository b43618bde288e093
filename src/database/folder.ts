import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { usageError, VidbatchError } from '../core/errors.ts';
import { openDoor } from './door.ts';
import type { EmbeddedDatabase } from './embedded.ts';
import { openEmbedded } from './embedded.ts';
import { hasFiles } from './files.ts';
import type { GuestDatabase } from './guest.ts';
import { askForRoom, attach } from './guest.ts';
import type { FolderLock } from './lock.ts';
import { lockFolder, readHolder } from './lock.ts';

export type Folder =
  | { role: 'holder'; database: EmbeddedDatabase; close: () => Promise<void> }
  | { role: 'guest'; database: GuestDatabase; holderPid: number | undefined; close: () => Promise<void> };

/** A holder that starts for the first time needs seconds, and one that closes a checkpoint. */
const PATIENCE_MS = 15_000;

/** What a process needs of a data folder. */
export interface FolderNeeds {
  patienceMs?: number;
  /** As its holder or not at all: a holder that makes room is asked to, and waited for. */
  alone?: boolean;
  /** This process, as the holder, makes room for a worker that needs the folder alone: called when one does. */
  onWanted?: () => void;
  /** False: only looks at a ledger that is there; default: makes one where there is none. */
  mayMake?: boolean;
}

/**
 * The database of a data folder: as its holder if nobody else is, otherwise as a guest of the process that holds
 * it. While the holder is starting, closing or making room, waits for `patienceMs`, then rejects with a VidbatchError
 * that names its pid.
 */
export async function openFolder(dir: string, needs: FolderNeeds = {}): Promise<Folder> {
  const { patienceMs = PATIENCE_MS, alone = false } = needs;
  // Before anything is written: a folder that cannot be read stays as it is.
  hasFiles(databaseOf(dir));
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const lock = lockFolder(dir);
    if (lock.held) return hold(dir, lock, needs);
    const left = deadline - performance.now();
    const holder = readHolder(dir);
    const door = holder?.door ?? resolve(dir, 'door.sock');
    try {
      if (!alone) {
        const database = await attach(door, Math.max(left, 1));
        return { role: 'guest', database, holderPid: holder?.pid, close: () => database.end() };
      }
      if (!(await askForRoom(door, Math.max(left, 1))) || left <= 0) throw occupied(dir, holder?.pid);
    } catch (cause) {
      if (cause instanceof VidbatchError) throw cause;
      if (left <= 0) throw unanswered(dir, lock.heldBy, cause);
    }
    // Not in step: two who try the lock at the same moment can hinder each other.
    await pause(50 + Math.random() * 100);
  }
}

/**
 * Waits until somebody else holds the folder, for as long as a worker takes that was made room for: whoever made room
 * must not be back before him.
 */
export async function untilTaken(dir: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (readHolder(dir) === undefined && performance.now() < deadline && !signal.aborted) await pause(50);
}

/**
 * Only a worker runs long enough for optimised code to pay. Everything else keeps the code that V8 compiles first. One
 * function of the database takes V8 600 MB to optimise, in the background, also after the command's last line. Measured
 * with 100,000 rows: `status` 0.9 s of CPU instead of 1.5 s, `submit` 26 s instead of 31 s, `export`
 * the same, `verify` a tenth more.
 */
const UNOPTIMISED = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering'];

async function hold(
  dir: string,
  lock: FolderLock,
  { alone = false, onWanted, mayMake = true }: FolderNeeds,
): Promise<Folder> {
  const opened: (() => Promise<void> | void)[] = [() => lock.release()];
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close();
  };
  try {
    // Under the lock: a first start of another process may just have made it.
    if (!mayMake && !hasFiles(databaseOf(dir))) throw noLedger(dir);
    if (!alone) for (const flag of UNOPTIMISED) setFlagsFromString(flag);
    const database = await openEmbedded(databaseOf(dir));
    opened.push(() => database.end());
    const door = await openDoor(database, doorPath(dir), onWanted);
    opened.push(() => door.close());
    lock.announce(door.path);
    let closing: Promise<void> | undefined;
    return { role: 'holder', database, close: () => (closing ??= closeAll()) };
  } catch (cause) {
    await closeAll();
    throw cause;
  }
}

export function databaseOf(dir: string): string {
  return join(dir, 'database');
}

export function noLedger(dir: string): VidbatchError {
  return usageError(
    'NO_LEDGER',
    `${dir}: there is no ledger here`,
    'If rows were sent before, correct VIDBATCH_DATA_DIR, DATABASE_URL or the mount: a new ledger would pay for them again. If not, `vidbatch submit` or `run` makes it.',
  );
}

/** 108 bytes on Linux, 104 on macOS, with the ending NUL. */
const SOCKET_PATH_BYTES = 100;

/**
 * Where the holder's socket goes: into the folder, or, when that path is too long for a socket, under the
 * temporary directory, in a folder of this user alone.
 */
export function doorPath(dir: string): string {
  const inside = resolve(dir, 'door.sock');
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES) return inside;
  const { uid } = userInfo();
  const shelter = join(tmpdir(), `vidbatch-${uid}`);
  mkdirSync(shelter, { recursive: true, mode: 0o700 });
  const found = lstatSync(shelter);
  // The temporary directory is everybody's: somebody else may have made a folder of this name, to listen in.
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new VidbatchError('DOOR', `${shelter}: is not a folder of this user alone`, {
      hint: 'Remove that folder for temporary files, which holds no ledger, or name another in TMPDIR.',
    });
  }
  const name = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 16);
  return join(shelter, `${name}.sock`);
}

function occupied(dir: string, pid: number | undefined): VidbatchError {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return new VidbatchError('FOLDER_HELD', `${dir} is held by ${who}, and a worker needs it for itself`, {
    hint: 'Wait for it, or stop it. `status`, `submit`, `pause`, `export` and `board` work beside it.',
  });
}

function unanswered(dir: string, pid: number | undefined, cause: unknown): VidbatchError {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return new VidbatchError('FOLDER_HELD', `${dir}: is held by ${who}, which does not answer`, {
    cause,
    hint: 'Wait until it has started or ended, or stop it.',
  });
}
