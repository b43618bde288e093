import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { VidbatchError } from '../../core/errors.ts';
import type { Queryable } from '../../database/database.ts';
import { diskError, isThere } from '../../database/disk-errors.ts';
import { flush } from '../../database/flush.ts';
import { knownJournals } from '../../ledger/send/journal.ts';
import { journalNames } from './file.ts';
import { foreignRefusal, readOwners } from './foreign.ts';

/* Journals on their way to another data folder. A journal there is never replaced by one that knows less. */

/** The journals of this ledger in the folder, by name. */
export async function ownJournals(folder: string, ledgerId: string): Promise<string[]> {
  const journals = await readOwners(folder, await journalNames(folder));
  return journals.filter(({ ledger }) => ledger === ledgerId).map(({ path }) => basename(path));
}

/** For a folder that gets this ledger. @throws VidbatchError exit 3 when it holds a journal of another ledger. */
export async function refuseStrangers(folder: string, ledgerId: string): Promise<void> {
  const journals = await readOwners(folder, await journalNames(folder));
  const strangers = journals.filter(({ ledger }) => ledger !== ledgerId);
  if (strangers.length > 0) throw foreignRefusal(strangers);
}

/** Those that the ledger has not read to their end: a process still writes them. Call it after a replay. */
export async function unreadJournals(db: Queryable, folder: string, ledgerId: string): Promise<string[]> {
  const own = await ownJournals(folder, ledgerId);
  const known = await knownJournals(db, own);
  const unread: string[] = [];
  for (const name of own) {
    if (known.get(name) !== (await stat(join(folder, name))).size) unread.push(name);
  }
  return unread;
}

/**
 * What is written of a journal, also while its worker writes it: without the zeros that are allocated ahead. What comes
 * later is not read, so no line is missing between two others.
 */
export async function readWritten(path: string): Promise<AsyncIterable<Buffer>> {
  const file = await open(path, 'r');
  let end = (await file.stat()).size;
  try {
    const piece = Buffer.alloc(64 * 1024);
    while (end > 0) {
      const from = Math.max(0, end - piece.length);
      const { bytesRead } = await file.read(piece, 0, end - from, from);
      const last = piece.subarray(0, bytesRead).findLastIndex((byte) => byte !== 0);
      if (last !== -1) {
        end = from + last + 1;
        break;
      }
      end = from;
    }
  } finally {
    await file.close();
  }
  return end === 0 ? Readable.from([]) : createReadStream(path, { end: end - 1 });
}

/** Brings the journals into another folder, and flushes them. */
export async function carryJournals(names: readonly string[], from: string, to: string): Promise<void> {
  for (const name of names) {
    const path = join(from, name);
    const { size } = await stat(path);
    await bringJournal(to, name, createReadStream(path, { end: Math.max(0, size - 1) }));
  }
}

/**
 * Writes one journal into a folder and flushes it, under its own name only when it is whole. If a journal of this name is
 * there, the longer one stays, and the other must be its beginning.
 * @throws VidbatchError JOURNAL_DIFFERS when both say something else.
 */
export async function bringJournal(
  folder: string,
  name: string,
  bytes: AsyncIterable<Buffer>,
): Promise<void> {
  const path = join(folder, name);
  const fresh = `${path}.new`;
  if (basename(name) !== name || !name.endsWith('.jsonl')) {
    throw new VidbatchError('BAD_JOURNAL_NAME', `${JSON.stringify(name)} is not the name of a journal`);
  }
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = await open(fresh, 'w', 0o600);
    try {
      for await (const chunk of bytes) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    if (isThere(path)) {
      const [there, brought] = [(await stat(path)).size, (await stat(fresh)).size];
      const shared = Math.min(there, brought);
      if ((await hashOf(path, shared)) !== (await hashOf(fresh, shared))) throw differs(path);
      if (there >= brought) {
        await rm(fresh);
        return;
      }
    }
    await rename(fresh, path);
    await flush(folder);
  } catch (cause) {
    await rm(fresh, { force: true });
    throw cause instanceof VidbatchError ? cause : diskError('DATA_DIR', path, cause);
  }
}

async function hashOf(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  if (bytes > 0)
    for await (const chunk of createReadStream(path, { end: bytes - 1 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function differs(path: string): VidbatchError {
  return new VidbatchError('JOURNAL_DIFFERS', `${path}: is another journal with the same name`, {
    hint: 'Use a folder without journals. Keep both files: each may know a task id.',
  });
}
