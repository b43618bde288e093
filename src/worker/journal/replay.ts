import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { journalNames, lockOf, readJournal } from './file.ts';
import type { Accepted } from '../row-log.ts';
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
import {
  adoptAllUnmatched,
  keepUnmatched,
  keepUnmatchedAnswer,
} from '../../ledger/send/unmatched-attempts.ts';
import { ensureProvider } from '../../ledger/send/provider.ts';
import { record } from '../../ledger/send/record.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { notSent } from '../../core/outcome.ts';

/** What the journals of dead workers knew. */
export interface Replayed {
  /** Files read now. */
  journals: number;
  /** Answers that the ledger did not have. */
  answers: number;
  /** Attempts that the ledger did not have: it was restored from an older copy, or lost its last writes. */
  restored: number;
  /** Attempts of rows that the ledger does not have: kept until their manifest is submitted again. */
  unmatched: number;
  /** Attempts whose worker died before their intent was written: proof that they never left. */
  neverSent: number;
  /** Files of another ledger: kept, not read. */
  foreign: string[];
  /** Files that prove nothing: torn in the middle, or older than what the ledger knows of their worker. */
  damaged: string[];
  /** Lines that cannot be read. A crash leaves one at the end of a file. */
  torn: number;
}

const CHUNK = 200;
/** A journal is kept for this time. So a ledger that is restored from a backup of this age finds what it lacks. */
const KEEP_MS = 30 * 24 * 3_600_000;
/** The next worker decides whether a row is exhausted, because it knows its `--attempts`. */
const NEVER_EXHAUSTED = 2 ** 31 - 1;
/** The last attempts of a worker must be among the last intents of its journal. Otherwise the file was cut. */
const COMPARED = { attempts: 100, intents: 5_000 };

const LOCK_PAUSE_MS = 100;

/** Called for each task id that was not known before, once it is stored. */
export type OnAccepted = (accepted: Accepted) => void;

/**
 * Writes to the ledger what the journals of dead workers know and it does not. It reads each journal that this ledger has
 * not read to its end, or that may know how an attempt ended. Safe to repeat, and to interrupt. Only one process reads at
 * a time. Otherwise a second process would skip a journal that is being read, and send rows that were sent.
 */
export async function replayJournals(
  db: Database,
  folder: string,
  ledgerId: string,
  onAccepted: OnAccepted = () => undefined,
): Promise<Replayed> {
  const total = nothingYet();
  const replay: Replay = { db, ledgerId, total, onAccepted };
  const names = await journalNames(folder);
  if (names.length === 0) return total;
  const lock = await lockReplay(folder);
  try {
    await replayEach(replay, folder, names);
    const adopted = await adoptAllUnmatched(db);
    total.unmatched = Math.max(0, total.unmatched - adopted);
    total.restored += adopted;
    if (total.restored > 0) total.neverSent += await settleEarlier(replay, folder);
  } finally {
    lock.release();
  }
  return total;
}

function nothingYet(): Replayed {
  return {
    journals: 0,
    answers: 0,
    restored: 0,
    unmatched: 0,
    neverSent: 0,
    foreign: [],
    damaged: [],
    torn: 0,
  };
}

async function lockReplay(folder: string): Promise<{ release(): void }> {
  for (;;) {
    const lock = lockFile(join(folder, 'replay.lock'));
    if (lock !== undefined) return lock;
    await sleep(LOCK_PAUSE_MS);
  }
}

interface Replay {
  db: Database;
  ledgerId: string;
  /** What it counts. */
  total: Replayed;
  onAccepted: OnAccepted;
}

async function replayEach(replay: Replay, folder: string, names: readonly string[]): Promise<void> {
  const { db, total } = replay;
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
      const proof = await replayOne(replay, path, ofThisWorker);
      if (proof === undefined) continue;
      if (!(await settleUnheard(replay, workerOf(name), proof))) total.damaged.push(path);
      await rememberJournal(db, name, size);
      crashPoint('journal-replayed');
    } finally {
      lock.release();
    }
  }
}

/**
 * A restored attempt brings a waiting row back in flight. The first pass did not look for earlier attempts of a waiting
 * row, and a journal may prove that they never left. Returns how many never left.
 */
async function settleEarlier(replay: Replay, folder: string): Promise<number> {
  const total = nothingYet();
  // The first pass deletes journals that are old.
  await replayEach({ ...replay, total }, folder, await journalNames(folder));
  return total.neverSent;
}

function workerOf(name: string): string {
  return name.replace(/\.jsonl$/, '');
}

async function forget(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(lockOf(path), { force: true });
}

/** What a journal proves about attempts without an answer in the ledger. */
interface JournalProof {
  /** Those with an intent in the journal: they may have left. */
  intended: readonly string[];
  /** Those without an intent: if the journal is whole, they never left. */
  silent: readonly string[];
  /** The last intents of the journal. */
  latest: ReadonlySet<string>;
  /** At most its last line is torn, as a crash leaves it. */
  whole: boolean;
}

/** Undefined when the file is no journal of this ledger. */
async function replayOne(
  replay: Replay,
  path: string,
  open: readonly string[],
): Promise<JournalProof | undefined> {
  const { db, ledgerId, total } = replay;
  let from: Sender | undefined;
  let chunk: AttemptLine[] = [];
  /** Answered attempts are removed, so it holds no more than were in flight at a time. */
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
      if (latest.length > 2 * COMPARED.intents) latest = latest.slice(-COMPARED.intents);
      unanswered.set(line.attempt, line);
    }
    chunk.push({ line, intent: unanswered.get(line.attempt) });
    if (line.kind === 'answer') unanswered.delete(line.attempt);
    if (chunk.length < CHUNK) continue;
    await recordLines(replay, from, chunk);
    chunk = [];
  }
  if (from === undefined) return undefined;
  await recordLines(replay, from, chunk);
  total.journals += 1;
  return {
    intended: open.filter((attemptId) => !silent.has(attemptId)),
    silent: [...silent],
    latest: new Set(latest),
    whole,
  };
}

/**
 * An intent is flushed before its request leaves. So if a dead worker's journal is complete and has no intent of an
 * attempt, the request never left. It is recorded as not sent, also if the sweeper has judged it meanwhile. False: the
 * journal cannot prove it.
 */
async function settleUnheard(
  { db, total }: Replay,
  worker: string,
  { intended, silent, latest, whole }: JournalProof,
): Promise<boolean> {
  if (intended.length > 0) await confirmIntents(db, intended);
  if (silent.length === 0) return true;
  const sent = await lastSent(db, worker, COMPARED.attempts);
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

/** For the log, when the intent of an answer cannot be read. The ledger knows its row by the attempt's id. */
const TORN = { batch: '?', key: '?', number: 0 };

/** Whose attempts a journal holds. */
interface Sender {
  origin: string;
  worker: string;
}

/** A line, with the intent of its attempt. */
interface AttemptLine {
  line: Exclude<JournalLine, { kind: 'header' }>;
  intent: Intent | undefined;
}

/** Keeps the order of the journal: a restored attempt must be settled before the next attempt of its row. */
async function recordLines(replay: Replay, from: Sender, lines: readonly AttemptLine[]): Promise<void> {
  const { db, total } = replay;
  const missing = await unrecorded(db, [...new Set(lines.map(({ line }) => line.attempt))]);
  for (const { line, intent } of lines) {
    if (line.kind === 'intent' && missing.get(line.attempt) === 'attempt') {
      if (await restoreAttempts(db, from, line)) total.restored += 1;
      else {
        await keepUnmatched(db, from, line);
        total.unmatched += 1;
      }
      crashPoint('attempt-restored');
    }
    if (line.kind === 'answer' && missing.has(line.attempt)) {
      await recordAnswer(replay, line, intent);
      crashPoint('answer-replayed');
    }
  }
}

async function recordAnswer(
  { db, total, onAccepted }: Replay,
  { attempt, outcome }: Extract<JournalLine, { kind: 'answer' }>,
  intent: Intent | undefined,
): Promise<void> {
  const result = { attemptId: attempt, outcome, waitMs: 0, maxAttempts: NEVER_EXHAUSTED };
  const [found] = await record(db, [result]);
  const isKept = found === undefined && (await keepUnmatchedAnswer(db, attempt, outcome));
  // Between the two, an import can find the row of this attempt. Then the ledger has the attempt, without this answer.
  const [recorded] = found === undefined && !isKept ? await record(db, [result]) : [found];
  const isNews = isKept || recorded?.known === false;
  if (recorded !== undefined) total.answers += 1;
  if (!isNews || outcome.kind !== 'accepted') return;
  const { batch, key, number } = intent ?? TORN;
  const { taskId } = outcome;
  const surplus = recorded?.surplus ?? false;
  onAccepted({ batch, key, attempt: number, attemptId: attempt, taskId, surplus, by: 'journal' });
}
