import type { BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { messageOf, refusal, usageError, VidbatchError } from '../core/errors.ts';

/** How much of the beginning is looked at to tell encoding, delimiter and shape. */
const HEAD_BYTES = 64 * 1024;

/** Where the bytes of a manifest come from. */
export interface ByteSource {
  /** The path as given, or `-`. */
  name: string;
  /** The first bytes, at most `HEAD_BYTES`. */
  head: Buffer;
  /** The head is all there is. */
  complete: boolean;
  /** `read()` may be called any number of times; otherwise once. */
  rereadable: boolean;
  /** All bytes from the start. A chunk is valid until the next one is asked for. Ending it early closes the file. */
  read(): AsyncGenerator<Buffer, void, void>;
}

/**
 * Opens a path, or `-` for `stdin`. No file stays open between two readings.
 * Throws a `VidbatchError`: exit 2 when there is no readable file, 1 when reading breaks later.
 */
export async function openSource(source: string, stdin: Readable): Promise<ByteSource> {
  if (source === '-') return streamSource(source, stdin);
  const handle = await openFile(source);
  let handedOver = false;
  try {
    const stats = await handle.stat({ bigint: true });
    if (stats.isDirectory()) {
      throw usageError('manifest-is-folder', `${source} is a folder`, 'Name the manifest files in it.');
    }
    if (!stats.isFile()) {
      // A pipe or a device (`<(…)` of a shell): it can be read only once, and only by this handle.
      handedOver = true;
      return await streamSource(source, handle.createReadStream());
    }
    const head = await readHead(source, handle);
    return {
      name: source,
      head,
      complete: BigInt(head.length) >= stats.size,
      rereadable: true,
      read: () => readFrom(source, stats),
    };
  } finally {
    if (!handedOver) await handle.close();
  }
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
    return usageError(
      'manifest-not-found',
      `${path}: no such file`,
      'Check the path and the current folder.',
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return usageError('manifest-unreadable', `${path}: no permission to read it`, 'Check its permissions.');
  }
  return usageError('manifest-unreadable', `${path} cannot be opened: ${messageOf(error)}`);
}

async function readHead(path: string, handle: FileHandle): Promise<Buffer> {
  const head = Buffer.alloc(HEAD_BYTES);
  let length = 0;
  while (length < head.length) {
    const bytesRead = await readInto(path, handle, head, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return head.subarray(0, length);
}

async function* readFrom(path: string, seen: BigIntStats): AsyncGenerator<Buffer, void, void> {
  const handle = await openFile(path);
  try {
    const now = await handle.stat({ bigint: true });
    if (now.ino !== seen.ino || now.size !== seen.size || now.mtimeNs !== seen.mtimeNs) {
      // What was found out about encoding and header is no longer about this content.
      throw refusal('manifest-changed', `${path} changed while it was being read`, 'Run the command again.');
    }
    const buffer = Buffer.alloc(HEAD_BYTES);
    for (;;) {
      const bytesRead = await readInto(path, handle, buffer, 0);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function readInto(path: string, handle: FileHandle, buffer: Buffer, offset: number): Promise<number> {
  try {
    const { bytesRead } = await handle.read(buffer, offset, buffer.length - offset, null);
    return bytesRead;
  } catch (error) {
    throw readError(path, error);
  }
}

async function streamSource(name: string, stream: Readable): Promise<ByteSource> {
  const rest = chunksOf(name, stream);
  const beginning: Buffer[] = [];
  let length = 0;
  let ended = false;
  while (length <= HEAD_BYTES && !ended) {
    const next = await rest.next();
    if (next.done === true) {
      ended = true;
    } else {
      beginning.push(next.value);
      length += next.value.length;
    }
  }
  const seen = Buffer.concat(beginning);
  return {
    name,
    head: seen.subarray(0, HEAD_BYTES),
    complete: ended && seen.length <= HEAD_BYTES,
    rereadable: ended,
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
      const next = await chunks.next().catch((error: unknown) => {
        throw readError(name, error);
      });
      if (next.done === true) return;
      yield typeof next.value === 'string' ? Buffer.from(next.value) : Buffer.from(next.value as Uint8Array);
    }
  } finally {
    await chunks.return?.();
  }
}

function readError(name: string, error: unknown): VidbatchError {
  return new VidbatchError('manifest-read', `${name} could not be read: ${messageOf(error)}`, {
    cause: error,
  });
}
