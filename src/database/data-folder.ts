import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { usageError, VidbatchError } from '../core/errors.ts';
import { hasFiles } from './database-files.ts';
import { databaseOf } from './incoming.ts';
import { openEmbedded, type EmbeddedDatabase } from './embedded.ts';
import { askToYield, connectToHolder, type RemoteDatabase } from './ipc-client.ts';
import { startIpcServer } from './ipc-server.ts';
import { lockFolder, readHolder, type FolderLock } from './lock.ts';

/** An open data folder. Its holder runs the database, and other processes are clients of the holder. */
export type Folder =
  | { role: 'holder'; database: EmbeddedDatabase; close: () => Promise<void> }
  | { role: 'client'; database: RemoteDatabase; holderPid: number | undefined; close: () => Promise<void> };

/** A holder needs seconds for its first start, and for the checkpoint when it closes. */
const TIMEOUT_MS = 15_000;

export interface FolderNeeds {
  timeoutMs?: number;
  /** This process must be the holder. It asks a holder that can give up the folder to do so, and waits. */
  alone?: boolean;
  /** This process, as the holder, can give up the folder: called when a worker needs it. */
  onYield?: () => void;
  /** False: open only a ledger that exists. Default: make a missing one, too. */
  mayMake?: boolean;
}

/**
 * Opens the database of a data folder: as its holder if no other process is, otherwise as a client of the holder. While a
 * holder is starting, closing or giving up the folder, it waits for `timeoutMs`.
 * @throws VidbatchError with the holder's pid, after that time.
 */
export async function openFolder(dir: string, needs: FolderNeeds = {}): Promise<Folder> {
  const { timeoutMs = TIMEOUT_MS, alone = false } = needs;
  // Before anything is written: a folder that cannot be read stays as it is.
  hasFiles(databaseOf(dir));
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const lock = lockFolder(dir);
    if (lock.held) return openAsHolder(dir, lock, needs);
    const left = deadline - performance.now();
    const holder = readHolder(dir);
    const socket = holder?.door ?? resolve(dir, SOCKET);
    try {
      if (!alone) {
        const database = await connectToHolder(socket, Math.max(left, 1));
        return { role: 'client', database, holderPid: holder?.pid, close: () => database.end() };
      }
      if (!(await askToYield(socket, Math.max(left, 1))) || left <= 0) {
        throw folderHeld(
          `${dir} is held by ${formatProcess(holder?.pid)}, and a worker needs it for itself`,
          'Wait for it, or stop it. `status`, `submit`, `pause`, `export` and `board` work beside it.',
        );
      }
    } catch (cause) {
      if (cause instanceof VidbatchError) throw cause;
      if (left <= 0) {
        throw folderHeld(
          `${dir}: is held by ${formatProcess(lock.heldBy)}, which does not answer`,
          'Wait until it has started or ended, or stop it.',
          cause,
        );
      }
    }
    // A random pause: two processes that try the lock in step can hinder each other.
    await pause(50 + Math.random() * 100);
  }
}

/** For a holder that gave up the folder: waits until the worker has taken it, so that this process does not take it back. */
export async function waitUntilTaken(dir: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (readHolder(dir) === undefined && performance.now() < deadline && !signal.aborted) await pause(50);
}

/**
 * V8's optimisation pays only in a worker, which runs long enough. One function of the database takes V8 600 MB to
 * optimise, in the background, also after the command's last line. Measured with 100,000 rows without it: `status` 0.9 s of
 * CPU instead of 1.5 s, `submit` 26 s instead of 31 s, `export` the same, `verify` a tenth more.
 */
const UNOPTIMISED = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering'];

async function openAsHolder(
  dir: string,
  lock: FolderLock,
  { alone = false, onYield, mayMake = true }: FolderNeeds,
): Promise<Folder> {
  const opened: (() => Promise<void> | void)[] = [() => lock.release()];
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close();
  };
  try {
    // Under the lock: another process may just have made it.
    if (!mayMake && !hasFiles(databaseOf(dir))) throw noLedger(dir);
    if (!alone) for (const flag of UNOPTIMISED) setFlagsFromString(flag);
    const database = await openEmbedded(databaseOf(dir));
    opened.push(() => database.end());
    const server = await startIpcServer(database, socketPath(dir), onYield);
    opened.push(() => server.close());
    lock.announce(server.path);
    let closing: Promise<void> | undefined;
    return { role: 'holder', database, close: () => (closing ??= closeAll()) };
  } catch (cause) {
    await closeAll();
    throw cause;
  }
}

export function noLedger(dir: string): VidbatchError {
  return usageError(
    'NO_LEDGER',
    `${dir}: there is no ledger here`,
    'If rows were sent before, correct VIDBATCH_DATA_DIR, DATABASE_URL or the mount: a new ledger would pay for them again. If not, `vidbatch submit` or `run` makes it.',
  );
}

const SOCKET = 'door.sock';

/** The longest path of a socket is 108 bytes on Linux and 104 on macOS, with the final NUL. */
const SOCKET_PATH_BYTES = 100;

/**
 * The path of the holder's socket: in the folder. When that path is too long for a socket: in a folder of this user alone,
 * under the temporary directory.
 */
export function socketPath(dir: string): string {
  const inside = resolve(dir, SOCKET);
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES) return inside;
  const { uid } = userInfo();
  const shelter = join(tmpdir(), `vidbatch-${uid}`);
  mkdirSync(shelter, { recursive: true, mode: 0o700 });
  const found = lstatSync(shelter);
  // All users can write in the temporary directory: another user may have made a folder of this name, to listen in.
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new VidbatchError('DOOR', `${shelter}: is not a folder of this user alone`, {
      hint: 'Remove that folder for temporary files, which holds no ledger, or name another in TMPDIR.',
    });
  }
  const name = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 16);
  return join(shelter, `${name}.sock`);
}

function folderHeld(message: string, hint: string, cause?: unknown): VidbatchError {
  return new VidbatchError('FOLDER_HELD', message, { cause, hint });
}

function formatProcess(pid: number | undefined): string {
  return pid === undefined ? 'another process' : `process ${pid}`;
}
