import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { csvLine, DIFFERENCE_COLUMNS, differenceLine } from '../results/audit/difference.ts';
import { isDifference } from '../results/audit/finding-type.ts';
import type { AuditFinding } from '../results/audit/audited-task.ts';
import { messageOf, usageError } from '../core/errors.ts';

/** `--differences`: whole at its path, or not there, and what an earlier look found stays until then. */
export interface Differences {
  write: (finding: AuditFinding) => Promise<void>;
  /** All of it was written: it takes its place. */
  keep: () => Promise<void>;
  /** Nothing is known of what it would have held. Without effect after `keep`. */
  drop: () => Promise<void>;
}

const NOTHING: Differences = {
  write: () => Promise.resolve(),
  keep: () => Promise.resolve(),
  drop: () => Promise.resolve(),
};

/**
 * Opened before anything is read: a path that cannot be written to is told at once.
 * @throws VidbatchError exit 2 for such a path, and for one of the files that are read.
 */
export async function openDifferences(
  path: string | undefined,
  files: readonly string[],
  redact: (text: string) => string,
): Promise<Differences> {
  if (path === undefined) return NOTHING;
  const real = await realpath(path).catch(() => undefined);
  const read = await Promise.all(files.map((file) => realpath(file).catch(() => undefined)));
  if (real !== undefined && read.includes(real)) {
    throw usageError(
      'WRITES_WHAT_IT_READS',
      `--differences: ${path} is one of the provider's files`,
      'Name another file.',
    );
  }
  const target = real ?? path;
  // A pipe, a terminal or a folder has no place beside it; the last cannot be opened, and says so.
  const isPlain = real === undefined || (await stat(real)).isFile();
  const part = isPlain ? `${target}.${process.pid}.part` : target;
  // It holds prompts, and what was paid. A link that was named is followed; one that lies in wait beside it is not.
  const stream = createWriteStream(part, { mode: 0o600, flags: isPlain ? 'wx' : 'w' });
  try {
    await once(stream, 'open');
  } catch (error) {
    throw usageError(
      'BAD_DIFFERENCES',
      `--differences: ${messageOf(error)}`,
      'Name a file that can be written, in a folder that is there.',
    );
  }
  const write = async (text: string): Promise<void> => {
    if (!stream.write(text)) await once(stream, 'drain');
  };
  await write(csvLine(DIFFERENCE_COLUMNS));
  let isOpen = true;
  const close = async (): Promise<void> => {
    isOpen = false;
    stream.end();
    await once(stream, 'close');
  };
  return {
    write: async (finding) => {
      if (finding.kinds.some(isDifference)) await write(differenceLine(finding, redact));
    },
    keep: async () => {
      await close();
      if (isPlain) await rename(part, target);
    },
    drop: async () => {
      if (!isOpen) return;
      await close();
      if (isPlain) await rm(part, { force: true });
    },
  };
}
