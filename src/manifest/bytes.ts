import type { BigIntStats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { messageOf, refusal, usageError, VidbatchError } from '../core/errors.ts';

/** Encoding, delimiter and shape are detected from these bytes. */
const HEAD_BYTES = 64 * 1024;

/** Where the bytes of a manifest come from. */
export interface ByteSource {
  /** The given path, or `-`. */
  name: string;
  /** The first bytes, at most `HEAD_BYTES`. */
  head: Buffer;
  /** The head is the whole file. */
  complete: boolean;
  /** `read()` may be called more than once. */
  rereadable: boolean;
  /** Whether the file behind the path has changed or is gone; always false for a stream. */
  isChanged(): Promise<boolean>;
  /** All bytes from the start. Ending it early closes the file. */
  read(): AsyncGenerator<Buffer, void, void>;
}

/**
 * Opens a path, or `-` for `stdin`. No file stays open between two readings.
 * @throws VidbatchError exit 2 when the file cannot be opened, 1 when reading fails later.
 */
export async function openSource(source: string, stdin: Readable): Promise<ByteSource> {
  if (source === '-') return streamSource(source, stdin);
  const stats = await stat(source, { bigint: true }).catch((error: unknown) => {
    throw openError(source, error);
  });
  if (stats.isDirectory()) {
    throw usageError('manifest-is-folder', `${source} is a folder`, 'Name the manifest files in it.');
  }
  // A pipe or a device, such as `<(…)` of a shell, can be read only once.
  if (!stats.isFile()) return streamSource(source, (await openFile(source)).createReadStream());
  const chunks = readFile(source, stats);
  const { head, complete } = await readHead(chunks);
  await chunks.return();
  return {
    name: source,
    head,
    complete,
    rereadable: true,
    isChanged: async () => {
      const now = await stat(source, { bigint: true }).catch(() => undefined);
      return now === undefined || !isSameFile(now, stats);
    },
    read: () => readFile(source, stats),
  };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw openError(path, error);
  }
}

function openError(path: string, error: unknown): VidbatchError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const hint = 'Check the path and the current folder.';
    return usageError('manifest-not-found', `${path}: no such file`, hint);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return usageError(
      'manifest-unreadable',
      `${path}: no permission to read it`,
      'Give this user permission to read it.',
    );
  }
  return usageError('manifest-unreadable', `${path} cannot be opened: ${messageOf(error)}`);
}

/** For a file that is another one by now, or gone. */
export function changedError(path: string): VidbatchError {
  return refusal('manifest-changed', `${path} changed while it was being read`, 'Run the command again.');
}

async function* readFile(path: string, seen: BigIntStats): AsyncGenerator<Buffer, void, void> {
  const handle = await openFile(path);
  try {
    if (!isSameFile(await handle.stat({ bigint: true }), seen)) {
      // The detected encoding and the header belong to the old content.
      throw changedError(path);
    }
    yield* chunksOf(path, handle.createReadStream({ autoClose: false }));
  } finally {
    await handle.close();
  }
}

function isSameFile(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.size === other.size && one.mtimeNs === other.mtimeNs;
}

/** `seen`: all bytes that were read, the head included. */
async function readHead(
  chunks: AsyncGenerator<Buffer, void, void>,
): Promise<{ head: Buffer; seen: Buffer; ended: boolean; complete: boolean }> {
  const parts: Buffer[] = [];
  let length = 0;
  let ended = false;
  while (length <= HEAD_BYTES && !ended) {
    const next = await chunks.next();
    if (next.done === true) {
      ended = true;
    } else {
      parts.push(next.value);
      length += next.value.length;
    }
  }
  const seen = Buffer.concat(parts);
  return { head: seen.subarray(0, HEAD_BYTES), seen, ended, complete: ended && length <= HEAD_BYTES };
}

async function streamSource(name: string, stream: Readable): Promise<ByteSource> {
  const rest = chunksOf(name, stream);
  const { head, seen, ended, complete } = await readHead(rest);
  return {
    name,
    head,
    complete,
    rereadable: ended,
    isChanged: () => Promise.resolve(false),
    async *read() {
      try {
        if (seen.length > 0) yield seen;
        yield* rest;
      } finally {
        await rest.return();
      }
    },
  };
}

async function* chunksOf(name: string, stream: Readable): AsyncGenerator<Buffer, void, void> {
  const chunks: AsyncIterator<unknown> = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch((cause: unknown) => {
        const message = `${name} could not be read: ${messageOf(cause)}`;
        throw new VidbatchError('manifest-read', message, { cause });
      });
      if (next.done === true) return;
      yield typeof next.value === 'string' ? Buffer.from(next.value) : Buffer.from(next.value as Uint8Array);
    }
  } finally {
    await chunks.return?.();
  }
}
