import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { basename, isAbsolute, join, resolve } from 'node:path';
import type { StoredVideo } from '../../ledger/tasks/stored-videos.ts';
import { NOTE, parseNote } from './folder.ts';

export type OpenedVideo = Pick<StoredVideo, 'file' | 'sha256' | 'bytes'> & {
  handle: FileHandle;
  type: string;
};

/** A note that vidbatch has written is shorter than this. A longer file is not read. */
const NOTE_BYTES = 4096;
/** A link is not followed, and a named pipe does not block the program. */
const PLAINLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a downloaded video for reading, if it is on this machine; its caller closes it. Undefined: it is not here, or it
 * is not what the ledger recorded. The path comes from the ledger alone. It must lead to a plain file of the recorded
 * size, directly in the folder, and the note in the folder must have the folder's id: another folder may have taken the
 * place of the recorded one.
 */
export async function openStoredVideo(video: StoredVideo): Promise<OpenedVideo | undefined> {
  const { path, file, bytes, sha256, type } = video;
  if (!isAbsolute(path) || resolve(path) !== path || !isPlainName(file)) return undefined;
  if (type === null || !/^video\/[a-z0-9.+-]+$/.test(type)) return undefined;
  if ((await folderIdAt(path)) !== video.folderId) return undefined;
  const handle = await openInside(path, file);
  if (handle === undefined) return undefined;
  if ((await handle.stat()).size === bytes) return { handle, file, sha256, bytes, type };
  await handle.close();
  return undefined;
}

/** Whether the file can be opened now. */
export async function isHere(video: StoredVideo): Promise<boolean> {
  const opened = await openStoredVideo(video);
  await opened?.handle.close();
  return opened !== undefined;
}

function isPlainName(file: string): boolean {
  return file === basename(file) && !file.startsWith('.') && !/[\0/\\]/.test(file);
}

/** A regular file directly in the folder; undefined: there is no such file. */
async function openInside(folder: string, file: string): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined;
  try {
    const path = join(await realpath(folder), file);
    handle = await open(path, PLAINLY);
    if ((await handle.stat()).isFile() && (await realpath(path)) === path) return handle;
  } catch {
    // It is gone, or it is a link.
  }
  await handle?.close();
  return undefined;
}

async function folderIdAt(folder: string): Promise<string | undefined> {
  const handle = await openInside(folder, NOTE);
  if (handle === undefined) return undefined;
  try {
    if ((await handle.stat()).size > NOTE_BYTES) return undefined;
    return parseNote(await handle.readFile('utf8'))?.folder;
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}
