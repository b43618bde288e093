import { chmodSync, closeSync, lstatSync, openSync, statSync } from 'node:fs';
import { VidbatchError } from '../core/errors.ts';
import { quoted } from '../core/text.ts';
import { isThere } from './disk-errors.ts';

export interface Owned {
  uid: number;
  gid: number;
  mode: number;
}

export interface User {
  uid: number;
  gids: readonly number[];
}

/** Undefined: the system has no user ids. */
function thisUser(): User | undefined {
  const uid = process.geteuid?.();
  if (uid === undefined) return undefined;
  return { uid, gids: [process.getegid?.() ?? uid, ...(process.getgroups?.() ?? [])] };
}

export type Distrust = 'of another user' | 'writable by all' | 'writable by its group';

/**
 * Why another user could change what is in the folder; undefined: only this user and root can. A group with the number of
 * the user is the user's own. A folder of root that a group of this process may write is a volume of a cluster.
 */
export function distrust({ uid, gid, mode }: Owned, user: User): Distrust | undefined {
  if (uid !== user.uid && uid !== 0) return 'of another user';
  if ((mode & 0o002) !== 0) return 'writable by all';
  const isTheirs = uid === user.uid ? gid === uid : user.gids.includes(gid);
  return (mode & 0o020) !== 0 && !isTheirs ? 'writable by its group' : undefined;
}

/** Why the folder is refused; undefined: it is absent or safe. Changes nothing. */
export function folderRefusal(dir: string, user = thisUser()): VidbatchError | undefined {
  if (user === undefined || !isThere(dir)) return undefined;
  const found = statSync(dir, { throwIfNoEntry: false });
  const why = found && distrust(found, user);
  if (found === undefined || why === undefined) return undefined;
  if (why === 'of another user') return ofAnother(dir, found.uid, user.uid);
  const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
  const who = why === 'writable by all' ? 'all users' : `the users of group ${found.gid}`;
  return new VidbatchError(
    'UNSAFE_FOLDER',
    `${dir}: ${who} can write in it (mode ${mode}), and could change the ledger`,
    {
      hint: `Forbid it: \`chmod go-w ${quoted(dir)}\`. On a disk without modes, move the whole folder to another disk, and set VIDBATCH_DATA_DIR to it.`,
    },
  );
}

/**
 * Call it before anything in a data folder is read or written.
 * @throws VidbatchError when another user could change what is in it.
 */
export function checkFolder(dir: string): void {
  const refusal = folderRefusal(dir);
  if (refusal !== undefined) throw refusal;
}

/**
 * Makes the file of a lock for this user alone, or checks the one that is there: another user who can read it could hold
 * the lock for ever. It opens no descriptor of an existing file, because to close one would end this process's lock.
 */
export function secureLock(path: string): void {
  const user = thisUser();
  if (!isThere(path)) {
    try {
      closeSync(openSync(path, 'wx', 0o600));
      return;
    } catch (cause) {
      // Another process was first.
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    }
  }
  if (user === undefined) return;
  const found = lstatSync(path);
  if (!found.isFile()) {
    throw new VidbatchError('DATA_DIR', `${path}: is not a file, and a lock must be one`, {
      hint: 'Remove it alone, and leave the rest of the folder as it is.',
    });
  }
  if (found.uid !== user.uid && found.uid !== 0) throw ofAnother(path, found.uid, user.uid);
  if (found.uid === user.uid && (found.mode & 0o077) !== 0) chmodSync(path, 0o600);
}

/**
 * Checks who owns the socket of the process that holds the ledger. Call it before anything is sent there. Without a
 * socket it does nothing.
 */
export function checkSocket(path: string): void {
  const user = thisUser();
  if (user === undefined || !isThere(path)) return;
  const { uid } = lstatSync(path);
  if (uid !== user.uid && uid !== 0) throw ofAnother(path, uid, user.uid);
}

function ofAnother(path: string, uid: number, me: number): VidbatchError {
  const who = me === 0 ? 'root' : `user ${me}`;
  return new VidbatchError(
    'UNSAFE_FOLDER',
    `${path}: belongs to user ${uid}, and vidbatch runs as ${who}; nothing was changed`,
    {
      hint:
        me === 0
          ? `Run it as that user with the same settings: \`sudo -E -u '#${uid}' vidbatch …\`. Or give the whole data folder to root with \`chown -R\`.`
          : `Run it as that user with the same settings. Or root gives the whole data folder to user ${me} with \`chown -R\`.`,
    },
  );
}
