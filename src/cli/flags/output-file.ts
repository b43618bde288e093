import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { link, lstat, rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { messageOf, usageError } from '../../core/errors.ts';
import { consentFlag, flag, isOn } from './flags.ts';
import type { Io } from '../output/io.ts';

export interface OutputFlags {
  output?: string;
  force?: boolean;
}

export function outputFlags(command: Command, what: string): Command {
  flag(command, '--output <file>', `where to write it; - for stdout (default: ${what})`);
  return consentFlag(command, '--force', 'write over an existing file');
}

/** The name of a batch as the beginning of a file name. */
export function fileNameOf(batch: string): string {
  return batch.replaceAll(/[/\\:*?"<>|\p{Cc}]/gu, '-').replace(/^\.+/, '-');
}

/**
 * Writes texts to a file, or to stdout for `-`. Resolves with the path; undefined: it was stdout.
 * @throws VidbatchError as `writeWhole` does.
 */
export async function writeOutput(
  path: string,
  texts: AsyncIterable<string> | Iterable<string>,
  flags: OutputFlags,
  io: Io,
): Promise<string | undefined> {
  if (path === '-') {
    for await (const text of texts) if (!(await io.write(text))) break;
    return undefined;
  }
  await writeWhole(path, (file) => pipeline(texts, file), flags);
  return path;
}

/**
 * Writes a file that appears only when it is complete, and that only its user can read. `write` ends the stream.
 * @throws VidbatchError exit 2 for a path that cannot be written, and for a file that is there already.
 */
export async function writeWhole(
  path: string,
  write: (file: Writable) => Promise<void>,
  { force }: OutputFlags,
): Promise<void> {
  if (!isOn(force) && (await exists(path))) throw thereAlready(path);
  const part = `${path}.${process.pid}.part`;
  const stream = createWriteStream(part, { mode: 0o600, flags: 'wx' });
  try {
    await once(stream, 'open');
  } catch (error) {
    throw usageError('BAD_OUTPUT', `--output: ${messageOf(error)}`, 'Name a file in an existing folder.');
  }
  try {
    await write(stream);
    if (isOn(force)) await rename(part, path);
    // Another process may have made the file meanwhile: a link does not replace it.
    else await link(part, path);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? thereAlready(path) : error;
  } finally {
    stream.destroy();
    await rm(part, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function thereAlready(path: string): Error {
  return usageError(
    'FILE_EXISTS',
    `--output: ${path} is there already, and was not changed`,
    'Name another file, or say --force.',
  );
}
