/** In place of `node:fs` and `node:fs/promises`: the disk of the machine whose code runs. */
import { Buffer as NodeBuffer } from 'node:buffer';
import type { FileHandle } from '../disk.ts';
import { onStage } from '../stage.ts';

export async function mkdir(): Promise<void> {
  await Promise.resolve();
}

/** The folder of the journals is always there. */
export function lstatSync(): object {
  return {};
}

export async function open(path: string, flags: string): Promise<FileHandle> {
  const { disk, owner } = onStage();
  return disk(owner).open(path, flags);
}

export function writeSync(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  const { disk, owner } = onStage();
  return disk(owner).write(fd, bytes.subarray(offset, offset + length), position);
}

export async function readdir(folder: string): Promise<string[]> {
  const { disk, owner } = onStage();
  return disk(owner).list(folder);
}

export async function rm(path: string): Promise<void> {
  const { disk, owner } = onStage();
  disk(owner).remove(path);
}

export async function stat(path: string): Promise<{ size: number; mtimeMs: number }> {
  const { disk, owner, wall } = onStage();
  return { size: disk(owner).sizeOf(path), mtimeMs: wall(owner) };
}

export async function* createReadStream(path: string): AsyncGenerator<NodeBuffer> {
  const { disk, owner, scheduler } = onStage();
  await scheduler.park(`read ${path}`);
  yield NodeBuffer.from(disk(owner).textOf(path));
}

const zeros = new Map<number, NodeBuffer>();

/** A megabyte of zeros for each journal would be most of the work of a simulation. */
export const Buffer = {
  alloc(length: number): NodeBuffer {
    const known = zeros.get(length) ?? NodeBuffer.alloc(length);
    zeros.set(length, known);
    return known;
  },
  from: (text: string): NodeBuffer => NodeBuffer.from(text),
  concat: (parts: readonly NodeBuffer[]): NodeBuffer => NodeBuffer.concat(parts),
};
