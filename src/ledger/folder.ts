import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { VidbatchError } from '../errors.ts';
import { openDoor } from './door.ts';
import type { EmbeddedDatabase } from './embedded.ts';
import { openEmbedded } from './embedded.ts';
import type { GuestDatabase } from './guest.ts';
import { attach } from './guest.ts';
import type { FolderLock } from './lock.ts';
import { lockFolder, readHolder } from './lock.ts';

export type Folder =
  | { role: 'holder'; database: EmbeddedDatabase; close: () => Promise<void> }
  | { role: 'guest'; database: GuestDatabase; holderPid: number | undefined; close: () => Promise<void> };

/** A holder that starts for the first time needs seconds, and one that closes a checkpoint. */
const PATIENCE_MS = 15_000;

/**
 * The database of a data folder: as its holder if nobody else is, otherwise as a guest of the process that holds
 * it. While the holder is starting or closing, waits for `patienceMs`, then rejects with a VidbatchError that
 * names its pid.
 */
export async function openFolder(dir: string, patienceMs = PATIENCE_MS): Promise<Folder> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const lock = lockFolder(dir);
    if (lock.held) return hold(dir, lock);
    const left = deadline - performance.now();
    try {
      const holder = readHolder(dir);
      const database = await attach(holder?.door ?? resolve(dir, 'door.sock'), Math.max(left, 1));
      return { role: 'guest', database, holderPid: holder?.pid, close: () => database.end() };
    } catch (cause) {
      if (cause instanceof VidbatchError) throw cause;
      if (left <= 0) throw unanswered(dir, lock.heldBy, cause);
    }
    // Not in step: two who try the lock at the same moment can hinder each other.
    await pause(50 + Math.random() * 100);
  }
}

async function hold(dir: string, lock: FolderLock): Promise<Folder> {
  const opened: (() => Promise<void> | void)[] = [() => lock.release()];
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close();
  };
  try {
    const database = await openEmbedded(join(dir, 'database'));
    opened.push(() => database.end());
    const door = await openDoor(database, doorPath(dir));
    opened.push(() => door.close());
    lock.announce(door.path);
    let closing: Promise<void> | undefined;
    return { role: 'holder', database, close: () => (closing ??= closeAll()) };
  } catch (cause) {
    await closeAll();
    throw cause;
  }
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
      hint: 'Remove it, or give a data folder with a shorter path.',
    });
  }
  const name = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 16);
  return join(shelter, `${name}.sock`);
}

function unanswered(dir: string, pid: number | undefined, cause: unknown): VidbatchError {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return new VidbatchError('FOLDER_HELD', `${dir}: is held by ${who}, which does not answer`, {
    cause,
    hint: 'Wait until it has started or ended, or stop it.',
  });
}
