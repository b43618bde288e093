import { writeSync } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Claim } from '../../ledger/send/claim.ts';
import type { JournaledAttempt } from '../../ledger/send/unmatched-attempts.ts';
import { grouped } from '../../core/group-commit.ts';
import { flush } from '../../database/flush.ts';
import { lockFile } from '../../database/lock.ts';
import { crashPoint } from '../../core/crash-points.ts';
import type { Outcome } from '../../core/outcome.ts';

/**
 * One line of a journal. An intent is on the disk before its request leaves. An answer is written before the ledger
 * records it. So even if the ledger is lost, the journal has each attempt and each task id that arrived.
 */
export type JournalLine =
  | { kind: 'header'; version: 1; ledger: string; worker: string; origin: string; at: string }
  | Intent
  | { kind: 'answer'; attempt: string; outcome: Outcome };

export type Intent = { kind: 'intent' } & JournaledAttempt;

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
  const ahead = allocatedAhead(file);
  const write = (lines: readonly JournalLine[]): Promise<void> =>
    ahead.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

  /** One write and one flush for all lines that arrived during the last flush. */
  const append = inGroups(async (lines) => {
    await write(lines);
    await file.datasync();
  });
  /** The same without a flush. */
  const appendUnflushed = inGroups(write);

  await flush(folder);
  await append({ kind: 'header', version: 1, ...header, at: new Date().toISOString() });
  crashPoint('journal-opened');
  return {
    name,
    ready: () => ahead.allocate(reserve),
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
    bytes: () => ahead.length(),
    async close() {
      await file.truncate(ahead.length());
      await file.close();
      lock.release();
      return ahead.length();
    },
  };
}

/** A file whose space on the disk is allocated before it is needed. */
interface AllocatedFile {
  /** Resolves when there is space for this many bytes after the text. */
  allocate(bytes: number): Promise<void>;
  write(text: string): Promise<void>;
  /** Bytes of text. */
  length(): number;
}

function allocatedAhead(file: FileHandle): AllocatedFile {
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

  return {
    allocate,
    async write(text) {
      const bytes = Buffer.from(text);
      // Within the allocated space, so no zeros can overwrite the text.
      while (allocated < length + bytes.length) await allocate(bytes.length);
      const position = length;
      length += bytes.length;
      writeAll(file.fd, bytes, position);
    },
    length: () => length,
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

function trimmed(outcome: Outcome): Outcome {
  const { body } = outcome.evidence;
  if (body === undefined || body.length <= MOST_BODY) return outcome;
  return { ...outcome, evidence: { ...outcome.evidence, body: body.slice(0, MOST_BODY) } };
}
