import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { journalNames, lockOf, readJournal } from './file.ts';
import type { Accepted } from '../accepted.ts';
import type { Intent, JournalLine } from './journal.ts';
import type { Database } from '../../database/database.ts';
import {
  confirmIntents,
  knownJournals,
  lastSent,
  rememberJournal,
  restoreAttempts,
  unheard,
  unrecorded,
} from '../../ledger/send/journal.ts';
import { lockFile } from '../../database/lock.ts';
import { adoptAll, keepOrphan, keepOrphanAnswer } from '../../ledger/send/orphan.ts';
import { ensureProvider } from '../../ledger/send/provider.ts';
import { record } from '../../ledger/send/record.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { notSent } from '../submit.ts';

/** What the journals of workers that are gone had to say. */
export interface Replayed {
  /** Files read now. */
  journals: number;
  /** Answers that the ledger had not heard of. */
  answers: number;
  /** Attempts that the ledger had not heard of: it was restored from an older copy, or cut off. */
  restored: number;
  /** Attempts of rows that the ledger does not have: kept until somebody brings their manifest back. */
  orphans: number;
  /** Attempts whose worker died before their intent was written: proof that they never left. */
  neverSent: number;
  /** Files of another ledger: kept, not read. */
  foreign: string[];
  /** Files that are torn in the middle, or older than what the ledger knows of their worker: they prove nothing. */
  damaged: string[];
  /** Lines that cannot be read; one at the end of a file is what a crash leaves. */
  torn: number;
}

const CHUNK = 200;
/** A ledger restored from a copy as old as this still finds what it has missed. */
const KEEP_MS = 30 * 24 * 3_600_000;
/** Whether a row is exhausted is for the next worker to say: it knows its `--attempts`. */
const NEVER_EXHAUSTED = 2 ** 31 - 1;
/** So many of a worker's latest attempts must be among so many of its journal's last intents, or the file was cut. */
const WITNESSES = { attempts: 100, intents: 5_000 };

const TURN_MS = 100;

/** Called for each task id that was not known before, once it is stored. */
export type OnAccepted = (accepted: Accepted) => void;

/**
 * Tells the ledger what it may have missed: reads every journal in the folder whose worker is gone, and which this
 * ledger has not taken in yet or which may know how an attempt ended. Safe to repeat, and to be interrupted. One reader
 * at a time: a worker that took a journal for a living one's, because somebody else was reading it, would send rows of
 * which it says that they were sent.
 */
export async function replayJournals(
  db: Database,
  folder: string,
  ledgerId: string,
  onAccepted: OnAccepted = () => undefined,
): Promise<Replayed> {
  const total: Replayed = {
    journals: 0,
    answers: 0,
    restored: 0,
    orphans: 0,
    neverSent: 0,
    foreign: [],
    damaged: [],
    torn: 0,
  };
  const names = await journalNames(folder);
  if (names.length === 0) return total;
  const turn = await turnIn(folder);
  try {
    await replayEach(db, folder, names, ledgerId, { total, onAccepted });
    const adopted = await adoptAll(db);
    total.orphans = Math.max(0, total.orphans - adopted);
    total.restored += adopted;
  } finally {
    turn.release();
  }
  return total;
}

async function turnIn(folder: string): Promise<{ release(): void }> {
  for (;;) {
    const turn = lockFile(join(folder, 'replay.lock'));
    if (turn !== undefined) return turn;
    await sleep(TURN_MS);
  }
}

/** Who is told what the journals say. */
interface Ears {
  total: Replayed;
  onAccepted: OnAccepted;
}

async function replayEach(
  db: Database,
  folder: string,
  names: readonly string[],
  ledgerId: string,
  ears: Ears,
): Promise<void> {
  const { total } = ears;
  const known = await knownJournals(db, names);
  const open = new Set((await unheard(db, names.map(workerOf))).map(({ worker }) => worker));
  for (const name of names) {
    const path = join(folder, name);
    const { size, mtimeMs } = await stat(path);
    if (known.get(name) === size && !open.has(workerOf(name))) {
      if (Date.now() - mtimeMs > KEEP_MS) await forget(path);
      continue;
    }
    const lock = lockFile(lockOf(path));
    if (lock === undefined) continue;
    try {
      const ofThisWorker = (await unheard(db, [workerOf(name)])).map(({ attemptId }) => attemptId);
      const testimony = await replay(db, path, ledgerId, ofThisWorker, ears);
      if (testimony === undefined) continue;
      if (!(await settleUnheard(db, workerOf(name), testimony, total))) total.damaged.push(path);
      await rememberJournal(db, name, size);
      crashPoint('journal-replayed');
    } finally {
      lock.release();
    }
  }
}

function workerOf(name: string): string {
  return name.replace(/\.jsonl$/, '');
}

async function forget(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(lockOf(path), { force: true });
}

/** What a journal can say of attempts that the ledger has heard nothing of. */
interface Testimony {
  /** Of the attempts that the ledger has heard nothing of: those with an intent here, which may have left. */
  intended: readonly string[];
  /** The others: as far as this file knows, they never left. */
  silent: readonly string[];
  /** The last intents of all. */
  latest: ReadonlySet<string>;
  /** Nothing but its end is torn, and that is what a crash leaves. */
  whole: boolean;
}

/** Undefined when the file is no journal of this ledger. */
async function replay(
  db: Database,
  path: string,
  ledgerId: string,
  open: readonly string[],
  ears: Ears,
): Promise<Testimony | undefined> {
  const { total } = ears;
  let from: { origin: string; worker: string } | undefined;
  let chunk: Told[] = [];
  /** No more than were in flight at a time: whoever is answered leaves. */
  const unanswered = new Map<string, Intent>();
  const silent = new Set(open);
  let latest: string[] = [];
  let torn = false;
  let whole = true;
  for await (const entry of readJournal(path)) {
    if (entry.kind === 'torn') {
      total.torn += 1;
      torn = true;
      continue;
    }
    if (torn) whole = false;
    const { line } = entry;
    if (line.kind === 'header') {
      if (line.ledger !== ledgerId) {
        total.foreign.push(path);
        return undefined;
      }
      from = line;
      await ensureProvider(db, line.origin);
      continue;
    }
    if (from === undefined) continue;
    if (line.kind === 'intent') {
      silent.delete(line.attempt);
      latest.push(line.attempt);
      if (latest.length > 2 * WITNESSES.intents) latest = latest.slice(-WITNESSES.intents);
      unanswered.set(line.attempt, line);
    }
    chunk.push({ line, intent: unanswered.get(line.attempt) });
    if (line.kind === 'answer') unanswered.delete(line.attempt);
    if (chunk.length < CHUNK) continue;
    await tell(db, chunk, from, ears);
    chunk = [];
  }
  if (from === undefined) return undefined;
  await tell(db, chunk, from, ears);
  total.journals += 1;
  return {
    intended: open.filter((attemptId) => !silent.has(attemptId)),
    silent: [...silent],
    latest: new Set(latest),
    whole,
  };
}

/**
 * An intent is flushed before its request leaves. So an attempt without one, by a worker that is dead and whose
 * journal is whole, never left: it is not sent, whatever the sweeper thought of it meanwhile. False when the journal
 * cannot prove it.
 */
async function settleUnheard(
  db: Database,
  worker: string,
  { intended, silent, latest, whole }: Testimony,
  total: Replayed,
): Promise<boolean> {
  if (intended.length > 0) await confirmIntents(db, intended);
  if (silent.length === 0) return true;
  const sent = await lastSent(db, worker, WITNESSES.attempts);
  if (!whole || !sent.every((attemptId) => latest.has(attemptId))) return false;
  const results = silent.map((attemptId) => ({
    attemptId,
    outcome: notSent('NEVER_SENT', 'its worker died before the request could leave: not sent'),
    waitMs: 0,
    maxAttempts: NEVER_EXHAUSTED,
  }));
  total.neverSent += (await record(db, results)).length;
  crashPoint('unheard-settled');
  return true;
}

/** Of an answer whose intent cannot be read: the ledger knows its row by the attempt's id. */
const TORN = { batch: '?', key: '?', number: 0 };

/** A line, with the intent of its attempt. */
interface Told {
  line: Exclude<JournalLine, { kind: 'header' }>;
  intent: Intent | undefined;
}

/** In the order of the journal: an attempt that was restored must be settled before the next one of its row. */
async function tell(
  db: Database,
  told: readonly Told[],
  from: { origin: string; worker: string },
  ears: Ears,
): Promise<void> {
  const missing = await unrecorded(db, [...new Set(told.map(({ line }) => line.attempt))]);
  for (const { line, intent } of told) {
    if (line.kind === 'intent' && missing.get(line.attempt) === 'attempt') {
      if (await restoreAttempts(db, from, line)) ears.total.restored += 1;
      else {
        await keepOrphan(db, from, line);
        ears.total.orphans += 1;
      }
      crashPoint('attempt-restored');
    }
    if (line.kind === 'answer' && missing.has(line.attempt)) {
      await tellAnswer(db, line, intent, ears);
      crashPoint('answer-replayed');
    }
  }
}

async function tellAnswer(
  db: Database,
  { attempt, outcome }: Extract<JournalLine, { kind: 'answer' }>,
  intent: Intent | undefined,
  { total, onAccepted }: Ears,
): Promise<void> {
  const [recorded] = await record(db, [
    { attemptId: attempt, outcome, waitMs: 0, maxAttempts: NEVER_EXHAUSTED },
  ]);
  const news = recorded === undefined ? await keepOrphanAnswer(db, attempt, outcome) : !recorded.known;
  if (recorded !== undefined) total.answers += 1;
  if (!news || outcome.kind !== 'accepted') return;
  const { batch, key, number } = intent ?? TORN;
  const { taskId } = outcome;
  const surplus = recorded?.surplus ?? false;
  onAccepted({ batch, key, attempt: number, attemptId: attempt, taskId, surplus, by: 'journal' });
}
