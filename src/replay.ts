import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { journalNames, lockOf, readJournal } from './journal-file.ts';
import type { JournalLine } from './journal.ts';
import type { Database } from './ledger/database.ts';
import { knownJournals, rememberJournal, restoreAttempts, unrecorded } from './ledger/journal.ts';
import { lockFile } from './ledger/lock.ts';
import { record } from './ledger/record.ts';
import type { Outcome } from './provider/outcome.ts';

/** What the journals of workers that are gone had to say. */
export interface Replayed {
  /** Files read now. */
  journals: number;
  /** Answers that the ledger had not heard of. */
  answers: number;
  /** Attempts that the ledger had not heard of: it was restored from an older copy, or cut off. */
  restored: number;
  /** Files of another ledger: kept, not read. */
  foreign: string[];
  /** Lines that cannot be read; one at the end of a file is what a crash leaves. */
  torn: number;
}

const CHUNK = 200;
/** A ledger restored from a copy as old as this still finds what it has missed. */
const KEEP_MS = 30 * 24 * 3_600_000;

/**
 * Tells the ledger what it may have missed: reads every journal in the folder whose worker is gone and which this
 * ledger has not taken in yet. Safe to repeat, and to be interrupted.
 */
export async function replayJournals(db: Database, folder: string, ledgerId: string): Promise<Replayed> {
  const total: Replayed = { journals: 0, answers: 0, restored: 0, foreign: [], torn: 0 };
  const names = await journalNames(folder);
  const known = await knownJournals(db, names);
  for (const name of names) {
    const path = join(folder, name);
    const { size, mtimeMs } = await stat(path);
    if (known.get(name) === size) {
      if (Date.now() - mtimeMs > KEEP_MS) await forget(path);
      continue;
    }
    const lock = lockFile(lockOf(path));
    if (lock === undefined) continue;
    try {
      await replay(db, path, ledgerId, total);
      if (!total.foreign.includes(path)) await rememberJournal(db, name, size);
    } finally {
      lock.release();
    }
  }
  return total;
}

async function forget(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(lockOf(path), { force: true });
}

async function replay(db: Database, path: string, ledgerId: string, total: Replayed): Promise<void> {
  let origin = '';
  let worker = '';
  let chunk: JournalLine[] = [];
  for await (const entry of readJournal(path)) {
    if (entry.kind === 'torn') {
      total.torn += 1;
      continue;
    }
    const { line } = entry;
    if (line.kind === 'header') {
      if (line.ledger !== ledgerId) {
        total.foreign.push(path);
        return;
      }
      ({ origin, worker } = line);
      continue;
    }
    chunk.push(line);
    if (chunk.length < CHUNK) continue;
    await tell(db, chunk, { origin, worker }, total);
    chunk = [];
  }
  await tell(db, chunk, { origin, worker }, total);
  total.journals += 1;
}

/** In the order of the journal: an attempt that was restored must be settled before the next one of its row. */
async function tell(
  db: Database,
  lines: readonly JournalLine[],
  from: { origin: string; worker: string },
  total: Replayed,
): Promise<void> {
  const intents = lines.filter((line) => line.kind === 'intent');
  const answers = new Map(
    lines.flatMap((line): [string, Outcome][] =>
      line.kind === 'answer' ? [[line.attempt, line.outcome]] : [],
    ),
  );
  const missing = await unrecorded(db, [
    ...new Set([...intents.map((one) => one.attempt), ...answers.keys()]),
  ]);
  for (const line of lines) {
    if (line.kind === 'intent' && missing.get(line.attempt) === 'attempt') {
      if (await restoreAttempts(db, from, line)) total.restored += 1;
    }
    if (line.kind === 'answer' && missing.has(line.attempt)) {
      const told = await record(db, [
        { attemptId: line.attempt, outcome: line.outcome, waitMs: 0, maxAttempts: 5 },
      ]);
      total.answers += told.length;
    }
  }
}
