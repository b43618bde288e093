import { join } from 'node:path';
import type { Queryable } from '../../database/database.ts';
import { lockFile } from '../../database/lock.ts';
import { finding, type Finding, type Rule } from '../../ledger/verify/invariant.ts';
import { journalNames, lockOf, readJournal } from '../../worker/journal/file.ts';
import { acceptedJournals, knownAttempts, type KnownAttempt } from '../../ledger/send/journal.ts';
import type { JournalLine } from '../../worker/journal/journal.ts';
import type { Inspection } from './verify.ts';

/** The rules for the journals of this machine and the ledger. */
export const JOURNAL_RULES = {
  intent: {
    name: 'journal-intent',
    holds: 'the ledger knows every attempt that a journal knows',
    severity: 'risk',
    next: 'vidbatch work on this machine brings it back',
  },
  answer: {
    name: 'journal-answer',
    holds: 'the ledger has the same answer as the journal for every attempt',
    severity: 'risk',
    next: 'vidbatch work on this machine records it; after that, vidbatch explain {batch} {key}',
  },
  whole: {
    name: 'journal-whole',
    holds: 'every line of a journal can be read, except a last line that a crash cut off',
    severity: 'broken',
    next: 'keep the file: it may contain part of an answer',
  },
  foreign: {
    name: 'journal-foreign',
    holds: 'the journals in the data folder belong to its ledger',
    severity: 'note',
    next: 'restore the ledger, or set DATABASE_URL or VIDBATCH_DATA_DIR to it; only if this is the right ledger: --accept-foreign-journals',
  },
} as const satisfies Record<string, Rule>;

const CHUNK = 200;

type Entry = Exclude<JournalLine, { kind: 'header' }>;

/** Compares every journal of this machine with the ledger. If a batch is given, reports only what concerns its rows. */
export async function* inspectJournals(
  db: Queryable,
  folder: string,
  options: { ledgerId: string; batch: string | null; onJournal?: () => void },
): AsyncGenerator<Inspection> {
  const accepted = await acceptedJournals(db);
  for (const name of await journalNames(folder)) {
    options.onJournal?.();
    yield* inspectJournal(db, join(folder, name), name, { ...options, accepted });
  }
}

async function* inspectJournal(
  db: Queryable,
  path: string,
  name: string,
  { ledgerId, batch, accepted }: { ledgerId: string; batch: string | null; accepted: ReadonlySet<string> },
): AsyncGenerator<Inspection> {
  let headed = false;
  let chunk: Entry[] = [];
  const ofBatch = (found: readonly Finding[]): readonly Finding[] =>
    batch === null ? found : found.filter((one) => one.batch === batch);
  const look = async (): Promise<Inspection> => {
    const lines = chunk;
    chunk = [];
    const compare = async (): Promise<readonly Finding[]> => ofBatch(await compareLines(db, lines));
    return { found: await compare(), again: async () => withExcuse(await compare(), path) };
  };
  for await (const entry of readJournal(path)) {
    if (entry.kind === 'torn') continue;
    const { line } = entry;
    if (line.kind === 'header') {
      if (line.ledger !== ledgerId) {
        if (accepted.has(line.ledger)) return;
        const what = `${name} belongs to another ledger, ${line.ledger}`;
        yield { found: ofBatch([finding(JOURNAL_RULES.foreign, { what })]) };
        return;
      }
      headed = true;
      continue;
    }
    if (!headed) continue;
    chunk.push(line);
    if (chunk.length >= CHUNK) yield look();
  }
  yield look();
  const readable = async (): Promise<readonly Finding[]> => ofBatch(await findTornLines(path, name));
  yield { found: await readable(), again: readable };
}

/** Unreadable lines before the last one, and a file that does not begin like a journal. */
async function findTornLines(path: string, name: string): Promise<Finding[]> {
  const found: Finding[] = [];
  let headed = false;
  let torn: number | undefined;
  for await (const entry of readJournal(path)) {
    if (torn !== undefined) {
      found.push(finding(JOURNAL_RULES.whole, { what: `${name}: line ${torn} cannot be read` }));
      torn = undefined;
    }
    if (entry.kind === 'torn') torn = entry.number;
    else if (entry.line.kind === 'header') headed = true;
    else if (!headed) {
      return [...found, finding(JOURNAL_RULES.whole, { what: `${name} does not say whose journal it is` })];
    }
  }
  return found;
}

async function compareLines(db: Queryable, lines: readonly Entry[]): Promise<Finding[]> {
  if (lines.length === 0) return [];
  const known = await knownAttempts(db, [...new Set(lines.map((line) => line.attempt))]);
  return lines.flatMap((line) => compareLine(line, known.get(line.attempt)));
}

function compareLine(line: Entry, known: KnownAttempt | undefined): Finding[] {
  const { attempt } = line;
  if (line.kind === 'intent') {
    if (known !== undefined) return [];
    const { batch, key } = line;
    const what = `attempt ${line.number} is only in a journal: it may have been accepted`;
    return [finding(JOURNAL_RULES.intent, { batch, key, attempt, what })];
  }
  const theirs = formatAnswer(
    line.outcome.kind,
    line.outcome.kind === 'accepted' ? line.outcome.taskId : null,
  );
  if (known === undefined) {
    const what = `an answer is only in a journal: ${theirs}`;
    return [finding(JOURNAL_RULES.answer, { attempt, what })];
  }
  const ours = known.outcome === null ? 'no answer' : formatAnswer(known.outcome, known.taskId);
  if (ours === theirs) return [];
  const { batch, key } = known;
  const what = `attempt ${known.number} is ${theirs} in the journal, but ${ours} in the ledger`;
  return [finding(JOURNAL_RULES.answer, { batch, key, attempt, what })];
}

/** As the ledger stores it: Postgres text holds neither NUL nor lone surrogates. */
function formatAnswer(kind: string, taskId: string | null): string {
  return taskId === null ? kind : `${kind} as task ${taskId.toWellFormed().replaceAll('\0', '\uFFFD')}`;
}

/** A running worker writes an answer to the journal first, and tries to record it until the ledger answers. */
function withExcuse(found: readonly Finding[], path: string): readonly Finding[] {
  if (found.length === 0 || !isInUse(path)) return found;
  return found.map((one) =>
    one.invariant === JOURNAL_RULES.answer.name
      ? { ...one, severity: 'note', next: 'its worker runs and will record it' }
      : one,
  );
}

/** Called only for a journal with findings: while this process locks it, a worker that replays journals skips it. */
function isInUse(path: string): boolean {
  const lock = lockFile(lockOf(path));
  lock?.release();
  return lock === undefined;
}
