import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf, usageError, VidbatchError } from '../../core/errors.ts';
import type { Batch } from '../../ledger/batches.ts';
import type { Folder } from '../../ledger/tasks/downloads.ts';
import { lockFile } from '../../database/lock.ts';

/** The file in a folder of videos that says whose they are. */
export const NOTE = '.vidbatch-download.json';
const LOCK = '.vidbatch-download.lock';

interface Note {
  folder: string;
  ledger: string;
  batch: string;
}

/** A folder into which only this process downloads, until it is released. */
export interface HeldFolder extends Folder {
  release(): void;
}

/**
 * Locks a folder for the videos of one batch, and makes it if it is not there.
 * @throws usageError when it holds the videos of another batch; VidbatchError when another process downloads into it,
 * or it cannot be written.
 */
export function holdFolder(path: string, ledger: string, batch: Pick<Batch, 'id' | 'name'>): HeldFolder {
  const absolute = resolve(path);
  try {
    mkdirSync(absolute, { recursive: true, mode: 0o755 });
    accessSync(absolute, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unusable(absolute, cause);
  }
  const lock = lockOf(absolute);
  try {
    const note =
      readNote(absolute) ?? makeNote(absolute, { folder: randomUUID(), ledger, batch: batch.name });
    if (note.ledger !== ledger || note.batch !== batch.name) {
      throw usageError(
        'FOLDER_OF_ANOTHER',
        `${absolute} holds the videos of batch ${note.batch}${note.ledger === ledger ? '' : ' of another ledger'}`,
        'Name another folder with --folder.',
      );
    }
    return {
      id: note.folder,
      batchId: batch.id,
      host: hostname(),
      path: absolute,
      release: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Why other users could put files or links into a folder; undefined: they cannot. */
export function othersWrite(path: string, uid = process.getuid?.()): string | undefined {
  const { mode, uid: owner } = statSync(path);
  if (uid !== undefined && owner !== uid && owner !== 0) return 'it belongs to another user';
  return (mode & 0o022) === 0 ? undefined : 'other users can write it';
}

/** vidbatch's own files in the folder are never read or written through a link: it may lead anywhere. */
function checkNoLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  throw usageError(
    'FOLDER_LINK',
    `${path}: is a symbolic link, and download follows none`,
    'Find out who made it, and remove it; or name another folder with --folder.',
  );
}

function lockOf(folder: string): { release(): void } {
  checkNoLink(join(folder, LOCK));
  let lock: { release(): void } | undefined;
  try {
    lock = lockFile(join(folder, LOCK));
  } catch (cause) {
    throw unusable(folder, cause);
  }
  if (lock !== undefined) return lock;
  throw new VidbatchError('FOLDER_BUSY', `${folder}: another process is downloading into it`, {
    hint: 'Wait until it has ended, or name another folder with --folder.',
  });
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

function readNote(folder: string): Note | undefined {
  const path = join(folder, NOTE);
  checkNoLink(path);
  try {
    const note = parseNote(readFileSync(path, 'utf8'));
    if (note !== undefined) return note;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  }
  throw usageError(
    'FOLDER_NOTE',
    `${path}: is not the note that vidbatch keeps in a folder of videos`,
    'Name another folder with --folder. Or delete the file: then the videos in this folder are compared before they are kept.',
  );
}

/** Undefined: JSON that is no note. @throws SyntaxError for what is not JSON. */
export function parseNote(text: string): Note | undefined {
  const note = JSON.parse(text) as Partial<Note> | null;
  const isNote =
    UUID.test(note?.folder ?? '') && typeof note?.ledger === 'string' && typeof note.batch === 'string';
  return isNote ? (note as Note) : undefined;
}

function makeNote(folder: string, note: Note): Note {
  const path = join(folder, NOTE);
  try {
    rmSync(`${path}.new`, { force: true });
    writeFileSync(`${path}.new`, `${JSON.stringify(note, undefined, 2)}\n`, { flag: 'wx', flush: true });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw unusable(folder, cause);
  }
  return note;
}

function unusable(path: string, cause: unknown): VidbatchError {
  return new VidbatchError('DISK', `${path}: ${messageOf(cause)}`, {
    cause,
    hint: 'It must be a folder that this user can write; --folder names another.',
  });
}
