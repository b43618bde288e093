import { createHash, type Hash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { constants, link, lstat, open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { uptime } from 'node:os';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import { flush } from '../../database/flush.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

/** This much of the disk stays free: journal and ledger may be on it, and without them nothing is sent. */
const RESERVE_BYTES = 64 * 1024 * 1024;
/** Error codes for a full disk. */
const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** File systems without hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Error codes that concern one name, not the disk or the folder: the other downloads continue. */
const OF_A_NAME = new Set(
  'ELOOP EISDIR ENOTDIR EACCES EPERM EEXIST ENOTEMPTY ENAMETOOLONG EINVAL EILSEQ ENXIO EBUSY ETXTBSY ERR_FS_EISDIR'.split(
    ' ',
  ),
);

/** One name in the folder cannot be used. Its video fails; the other downloads continue. */
export class UnusableName extends VidbatchError {
  constructor(path: string, what: string, cause?: unknown) {
    super('FILE_UNUSABLE', `${basename(path)}: ${what}; move it away, and run this command again`, { cause });
  }
}

function unusableName(path: string, cause: NodeJS.ErrnoException): UnusableName {
  return new UnusableName(path, cause.code === 'ELOOP' ? IS_A_LINK : messageOf(cause), cause);
}

const IS_A_LINK = 'is a symbolic link, and `download` follows none';

/** An error of the disk ends the command, unless it concerns one name. */
async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof VidbatchError) throw cause;
    if (FULL.has(code ?? '')) throw diskFull(path, cause);
    if (OF_A_NAME.has(code ?? '')) throw unusableName(path, cause as NodeJS.ErrnoException);
    throw new VidbatchError('DISK', `${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'The folder must be one that this user can write. The videos in it are complete; run the command again.',
    });
  }
}

function diskFull(path: string, cause?: unknown): VidbatchError {
  return new VidbatchError('DISK_FULL', `${dirname(path)}: there is no room left on the disk`, {
    cause,
    hint: 'Make room, or name another folder. The videos in it are complete, and the next run continues where this one stopped.',
  });
}

/** @throws VidbatchError `DISK_FULL` when this many more bytes would leave too little. */
export async function checkRoom(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await onDisk(path, () => statfs(dirname(path)));
  if (bavail * bsize < bytes + RESERVE_BYTES) throw diskFull(path);
}

/** Something that is not a file has a name of ours. It is neither read, nor written, nor removed. */
function checkIsFile(path: string, found: Stats): void {
  if (found.isFile()) return;
  throw new UnusableName(path, found.isSymbolicLink() ? IS_A_LINK : 'is not a file');
}

/** How much of a part can be continued. 0: there is no part. */
export async function partSize(path: string, now: number): Promise<number> {
  const found = await onDisk(path, () => lstat(path).catch(ifMissing));
  if (found === undefined) return 0;
  checkIsFile(path, found);
  // What was written before the last start of this machine may not have reached the disk.
  return found.mtimeMs < now - uptime() * 1000 ? 0 : found.size;
}

/** The size of a file under its final name; undefined if it is not there. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const found = await onDisk(path, () => lstat(path).catch(ifMissing));
  if (found !== undefined) checkIsFile(path, found);
  return found?.size;
}

export async function removeFile(path: string): Promise<void> {
  await onDisk(path, () => rm(path, { force: true }));
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await onDisk(path, async () => {
    const file = await open(path, O_RDONLY | O_NOFOLLOW);
    await pipeline(file.createReadStream(), hash);
  });
  return hash.digest('hex');
}

/** A video on its way, under its temporary name. */
export class PartFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #hash: Hash;
  #bytes: number;

  private constructor(path: string, file: FileHandle, hash: Hash, bytes: number) {
    this.path = path;
    this.#file = file;
    this.#hash = hash;
    this.#bytes = bytes;
  }

  /** From the first byte, in a new file: the old one may have a second name elsewhere. */
  static async begin(path: string): Promise<PartFile> {
    await partSize(path, Date.now());
    await removeFile(path);
    const file = await onDisk(path, () => open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666));
    return new PartFile(path, file, createHash('sha256'), 0);
  }

  /** After its first `bytes`. */
  static async resume(path: string, bytes: number): Promise<PartFile> {
    const hash = createHash('sha256');
    const file = await onDisk(path, () => open(path, O_RDWR | O_NOFOLLOW));
    try {
      await onDisk(path, async () => {
        const chunk = Buffer.alloc(1_048_576);
        for (let at = 0; at < bytes;) {
          const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, bytes - at), at);
          if (bytesRead === 0) throw new Error('it has become shorter');
          hash.update(chunk.subarray(0, bytesRead));
          at += bytesRead;
        }
      });
    } catch (error) {
      await file.close();
      throw error;
    }
    return new PartFile(path, file, hash, bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get file(): Pick<FileHandle, 'read'> {
    return this.#file;
  }

  async append(chunk: Buffer): Promise<void> {
    await onDisk(this.path, async () => {
      for (let done = 0; done < chunk.length;) {
        const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#bytes + done);
        done += bytesWritten;
      }
    });
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  async head(bytes: number): Promise<Buffer> {
    return onDisk(this.path, async () => {
      const head = Buffer.alloc(Math.min(bytes, this.#bytes));
      const { bytesRead } = await this.#file.read(head, 0, head.length, 0);
      return head.subarray(0, bytesRead);
    });
  }

  /** Flushes the file to the disk. Call it once. */
  async sync(): Promise<{ bytes: number; sha256: string }> {
    await onDisk(this.path, () => this.#file.sync());
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  async close(): Promise<void> {
    await onDisk(this.path, () => this.#file.close());
  }
}

/**
 * Gives a whole file its final name. False: another file has that name, and it stays. A link fails there, while a rename
 * would replace the other file.
 */
export async function giveName(part: string, path: string, sha256: string): Promise<boolean> {
  const named = await onDisk(path, async () => {
    try {
      await link(part, path);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      if (!NO_LINKS.has(code ?? '')) throw error;
      if ((await lstat(path).catch(ifMissing)) !== undefined) return false;
      await rename(part, path);
      return true;
    }
  });
  if (!named && ((await sizeOf(path)) === undefined || (await sha256Of(path)) !== sha256)) return false;
  await removeFile(part);
  await onDisk(path, () => flush(dirname(path)));
  return true;
}
