import { writeSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Claim } from '../../ledger/send/claim.ts';
import { grouped } from '../../core/group-commit.ts';
import { lockFile } from '../../database/lock.ts';
import { crashPoint } from '../../core/crash-points.ts';
import type { Outcome } from '../../core/outcome.ts';

/**
 * One line of a journal. An intent is on the disk before its request leaves. An answer is written before the ledger
 * records it. So even if the ledger is lost, the journal has each attempt and each task id that arrived.
 */
export type JournalLine =
  | { kind: 'header'; version: 1; ledger: string; worker: string; origin: string; at: string }
  | {
      kind: 'intent';
      attempt: string;
      batch: string;
      key: string;
      /** Number of the row in the ledger, and hash of its request; older journals lack both. */
      row?: number;
      content?: string;
      number: number;
      epoch: number;
      at: string;
    }
  | { kind: 'answer'; attempt: string; outcome: Outcome };

export type Intent = Extract<JournalLine, { kind: 'intent' }>;

/** The journal of one worker: a file that no other process writes. */
export interface Journal {
  /** Name of the file, as the ledger remembers it once everything in it is recorded. */
  readonly name: string;
  /** Rejects when the disk has no room for what may be in flight: then nothing may be claimed. */
  ready(): Promise<void>;
  /** Resolves when it is on the disk. */
  intend(claim: Claim): Promise<void>;
  answer(claim: Claim, outcome: Outcome): Promise<void>;
  /** How much has been written. */
  bytes(): number;
  /** Releases the file; returns its length in bytes. */
  close(): Promise<number>;
}

/**
 * Space on the disk is allocated in pieces of this size, before it is needed, so that a full disk is known before a
 * claim.
 */
const PIECE = 1024 * 1024;
/**
 * Characters of an answer that the journal keeps. They are enough to find the outcome; the ledger stores the whole
 * answer.
 */
const MOST_BODY = 4096;

export function journalFolder(dataDir: string): string {
  return join(dataDir, 'journal');
}

export interface JournalOptions {
  /** Bytes that must always be free for what is in flight. */
  reserve: number;
  /**
   * Also flushes each answer before the ledger records it: for a ledger that does not flush by itself. Otherwise
   * answers are only written. They survive a crash of the process, and the ledger's commit survives a crash of the
   * machine.
   */
  flushAnswers: boolean;
}

/** Starts a journal for this worker. */
export async function openJournal(
  folder: string,
  header: { ledger: string; worker: string; origin: string },
  { reserve, flushAnswers }: JournalOptions,
): Promise<Journal> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = `${header.worker}.jsonl`;
  const lock = lockFile(join(folder, `${header.worker}.lock`));
  if (lock === undefined) throw new Error(`the journal ${name} is already being written`);
  let file: FileHandle;
  try {
    file = await open(join(folder, name), 'wx+', 0o600);
  } catch (error) {
    lock.release();
    throw error;
  }
  crashPoint('journal-created');
  let length = 0;
  let allocated = 0;
  let allocating = Promise.resolve();

  /**
   * Writes zeros ahead of the text: overwriting them later needs no space. Only one call runs at a time: otherwise late zeros
   * could overwrite text.
   */
  function allocate(needed: number): Promise<void> {
    const done = allocating.then(async () => {
      while (allocated < length + needed) {
        writeAll(file.fd, Buffer.alloc(PIECE), allocated);
        await file.datasync();
        allocated += PIECE;
      }
    });
    allocating = done.catch(() => undefined);
    return done;
  }

  /** The position of the next text. It is within the allocated space, so no zeros can overwrite the text. */
  async function place(bytes: number): Promise<number> {
    while (allocated < length + bytes) await allocate(bytes);
    const position = length;
    length += bytes;
    return position;
  }

  async function write(lines: readonly JournalLine[]): Promise<void> {
    const text = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const position = await place(text.length);
    writeAll(file.fd, text, position);
  }

  /** One write and one flush for all lines that arrived during the last flush. */
  const append = inGroups(async (lines) => {
    await write(lines);
    await file.datasync();
  });
  /** The same without a flush. */
  const appendUnflushed = inGroups(write);

  await syncFolder(folder);
  await append({ kind: 'header', version: 1, ...header, at: new Date().toISOString() });
  crashPoint('journal-opened');
  return {
    name,
    ready: () => allocate(reserve),
    intend: (claim) =>
      append({
        kind: 'intent',
        attempt: claim.attemptId,
        batch: claim.batch,
        key: claim.key,
        row: claim.submissionId,
        content: claim.content,
        number: claim.number,
        epoch: claim.epoch,
        at: new Date().toISOString(),
      }),
    answer(claim, outcome) {
      const line: JournalLine = { kind: 'answer', attempt: claim.attemptId, outcome: trimmed(outcome) };
      return flushAnswers ? append(line) : appendUnflushed(line);
    },
    bytes: () => length,
    async close() {
      await file.truncate(length);
      await file.close();
      lock.release();
      return length;
    },
  };
}

function inGroups(
  run: (lines: readonly JournalLine[]) => Promise<void>,
): (line: JournalLine) => Promise<void> {
  return grouped<JournalLine, void>(
    async (lines) => {
      await run(lines);
      return lines.map(() => undefined);
    },
    { max: 1000 },
  );
}

/** Not in a thread: to hand over a write takes ten times as long as to copy its bytes into the page cache. */
function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** A new file is on the disk only when its folder is, too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function trimmed(outcome: Outcome): Outcome {
  const { body } = outcome.evidence;
  if (body === undefined || body.length <= MOST_BODY) return outcome;
  return { ...outcome, evidence: { ...outcome.evidence, body: body.slice(0, MOST_BODY) } };
}
