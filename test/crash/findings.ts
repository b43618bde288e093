import { join } from 'node:path';
import { journalNames, readJournal } from '../../src/worker/journal/file.ts';
import { journalFolder } from '../../src/worker/journal/journal.ts';
import type { Queryable } from '../../src/database/database.ts';
import { INVARIANTS, checkSlice, checkWhole } from '../../src/ledger/verify/walk.ts';
import type { Finding } from '../../src/ledger/verify/invariant.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import type { State } from '../../src/core/states.ts';
import { compareWithTruth, violations, type ExportedRow } from '../truth.ts';
import { isLost } from './rows.ts';
import type { CrashCli } from './crash-cli.ts';

interface LedgerRow extends ExportedRow {
  batch: string;
  attempt_id: string | null;
}

/** What went wrong with a batch, in words; and how it stands. */
export interface Findings {
  wrong: string[];
  states: Partial<Record<State, number>>;
  /** Rows whose answer a crash has cost: uncertain, although the simulator answered in full or never heard of them. */
  unknown: string[];
}

/**
 * Compares each batch, after everything has come to its end, with what the simulator accepted and with what the workers
 * wrote into their journals.
 */
export async function findings(cli: CrashCli, batches: readonly string[]): Promise<Map<string, Findings>> {
  const { rows, breaches } = await cli.ledger(async (db) => ({
    rows: (await db.query<LedgerRow>(ROWS)).rows,
    breaches: await lookAt(db),
  }));
  const accepted = cli.simulator.accepted();
  const journal = await readJournals(cli.dataDir);
  return new Map(
    batches.map((batch): [string, Findings] => {
      const own = rows.filter((row) => row.batch === batch);
      const prompts = cli.prompts.get(batch) ?? [];
      const broken = violations(
        compareWithTruth(
          prompts,
          own,
          accepted.filter(({ body }) => prompts.includes(body.prompt)),
        ),
      );
      const wrong = [
        ...Object.entries(broken).map(([what, which]) => `${what}: ${String(which)}`),
        ...own.flatMap((row) => wrongWith(row, journal)),
        // What belongs to no batch is everybody's.
        ...breaches
          .filter((breach) => breach.batch === null || breach.batch === batch)
          .map(({ invariant, key, what }) => `${invariant}: ${key ?? ''} ${what}`),
      ];
      if (own.length > prompts.length) wrong.push(`${own.length} rows of ${prompts.length}`);
      const unknown = own.filter((row) => row.state === 'uncertain' && !isLost(row.request.prompt));
      const states = Object.fromEntries(
        [...Map.groupBy(own, (row) => row.state)].map(([state, all]) => [state, all.length]),
      );
      return [batch, { wrong, states, unknown: unknown.map((row) => row.row_key) }];
    }),
  );
}

const ROWS = `
  select b.name as batch, s.row_key, s.state, s.task_id, s.attempt_id,
         json_build_object('prompt', s.request::json ->> 'prompt') as request
    from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id order by s.id`;

/** Where the ledger contradicts itself, or has something to hide. */
async function lookAt(db: Queryable): Promise<Finding[]> {
  const all = { after: 0, last: Number.MAX_SAFE_INTEGER, rows: 0 };
  const found: Finding[] = [];
  for (const invariant of INVARIANTS) {
    if (invariant.severity === 'note') continue;
    found.push(
      ...(await (invariant.over === 'slice'
        ? checkSlice(db, invariant, all, null)
        : checkWhole(db, invariant, null))),
    );
  }
  return found;
}

interface Journalled {
  intents: ReadonlySet<string>;
  answers: ReadonlyMap<string, Outcome>;
}

function wrongWith({ row_key: key, state, attempt_id: attempt }: LedgerRow, journal: Journalled): string[] {
  if (state === 'pending') return [`${key} is pending still`];
  if (state !== 'uncertain' || attempt === null) return [];
  if (!journal.intents.has(attempt)) return [`${key} is uncertain, and provably never left`];
  const answer = journal.answers.get(attempt)?.kind ?? 'uncertain';
  return answer === 'uncertain'
    ? []
    : [`${key} is uncertain, and its answer (${answer}) stands in a journal`];
}

/** What all workers of this folder wrote down: the attempts that were about to leave, and what came back. */
async function readJournals(dataDir: string): Promise<Journalled> {
  const folder = journalFolder(dataDir);
  const intents = new Set<string>();
  const answers = new Map<string, Outcome>();
  for (const name of await journalNames(folder)) {
    for await (const entry of readJournal(join(folder, name))) {
      if (entry.kind === 'torn') continue;
      if (entry.line.kind === 'intent') intents.add(entry.line.attempt);
      if (entry.line.kind === 'answer') answers.set(entry.line.attempt, entry.line.outcome);
    }
  }
  return { intents, answers };
}

/** The exit code of a `run` of these batches: the highest risk wins. */
export function exitCodeFor(all: Iterable<Findings>): number {
  const states = [...all].map((one) => one.states);
  if (states.some(({ uncertain = 0 }) => uncertain > 0)) return 5;
  return states.some(({ rejected = 0, exhausted = 0, invalid = 0 }) => rejected + exhausted + invalid > 0)
    ? 4
    : 0;
}
