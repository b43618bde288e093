import { lstatSync } from 'node:fs';
import { messageOf, VidbatchError } from '../core/errors.ts';

/** Never inside of it: journals prove that rows were paid. */
const FREE_SPACE = 'Free space outside of the data folder, then run the same command again.';

/** What a system error means for a file of the data folder, and what to do. No hint may lead to another, empty ledger. */
const CAUSES: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  EACCES: [
    'this user may not use it',
    'Give the whole data folder to one user with `chown -R`, and run vidbatch as that user.',
  ],
  EDQUOT: ['the disk quota of this user is used up', FREE_SPACE],
  EIO: [
    'the disk reports an input/output error',
    'Check the disk and its mount, then run the same command again.',
  ],
  EMFILE: [
    'this process may not open more files',
    'Raise the limit, for example `ulimit -n 1024`, then run the same command again.',
  ],
  ENFILE: [
    'this machine may not open more files',
    'End other programs or raise the limit, then run the same command again.',
  ],
  ENOMEM: ['there is no memory left', 'End other programs, then run the same command again.'],
  ENOSPC: ['there is no space left on its disk', FREE_SPACE],
  ENOTDIR: [
    'a file is where a folder should be',
    'Put the folder back, or set VIDBATCH_DATA_DIR to the folder that holds the ledger.',
  ],
  EROFS: ['its file system is read-only', 'Mount it writable, then run the same command again.'],
  ESTALE: ['its network disk has lost it', 'Mount the disk again, then run the same command again.'],
};
const LIKE: Readonly<Record<string, string>> = { EPERM: 'EACCES' };

/** WASI's numbers for the errors above: PGlite's file system throws these. */
const NUMBERS: ReadonlyMap<number, string> = new Map([
  [2, 'EACCES'],
  [19, 'EDQUOT'],
  [29, 'EIO'],
  [33, 'EMFILE'],
  [41, 'ENFILE'],
  [48, 'ENOMEM'],
  [51, 'ENOSPC'],
  [54, 'ENOTDIR'],
  [63, 'EPERM'],
  [69, 'EROFS'],
  [72, 'ESTALE'],
]);

/** The same errors in the words of the Postgres in PGlite. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/permission denied/i, 'EACCES'],
  [/operation not permitted/i, 'EPERM'],
  [/quota exceeded/i, 'EDQUOT'],
  [/I\/O error|input\/output error/i, 'EIO'],
  [/no file descriptors available|too many open files in this process/i, 'EMFILE'],
  [/too many open files in system/i, 'ENFILE'],
  [/out of memory|cannot allocate memory/i, 'ENOMEM'],
  [/no space left/i, 'ENOSPC'],
  [/read-only file system/i, 'EROFS'],
  [/stale file handle/i, 'ESTALE'],
];

/** The name of the system error, such as EACCES; undefined: another error. `printed`: what the database printed. */
export function systemError(cause: unknown, printed: readonly string[] = []): string | undefined {
  const { code, errno, name } = (cause ?? {}) as { code?: unknown; errno?: unknown; name?: unknown };
  if (typeof code === 'string' && /^E[A-Z\d]+$/.test(code)) return code;
  if (name === 'ErrnoError' && typeof errno === 'number') return NUMBERS.get(errno) ?? `error ${errno}`;
  const text = [messageOf(cause), ...printed].join('\n');
  return WORDS.find(([words]) => words.test(text))?.[1];
}

/** An error that names the path, what is wrong there, the system's name for it, and what to do. */
export function diskError(
  code: string,
  path: string,
  cause: unknown,
  printed: readonly string[] = [],
): VidbatchError {
  const system = systemError(cause, printed);
  const [what, hint] = CAUSES[LIKE[system ?? ''] ?? system ?? ''] ?? [messageOf(cause), ''];
  return new VidbatchError(code, `${path}: ${what}${system === undefined ? '' : ` (${system})`}`, {
    cause,
    hint: hint === '' ? 'Check the folder, then run the same command again: the ledger is in it.' : hint,
  });
}

/**
 * Whether something is at the path, also a symbolic link to a disk that is not mounted.
 * @throws VidbatchError for every error but ENOENT: what cannot be read may be a ledger.
 */
export function isThere(path: string, look: (path: string) => unknown = lstatSync): boolean {
  try {
    look(path);
    return true;
  } catch (cause) {
    if (systemError(cause) === 'ENOENT') return false;
    throw diskError('DATA_DIR', path, cause);
  }
}
