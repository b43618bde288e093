import { JOURNAL_RULES, journalLooks } from '../verify/journal-check.ts';
import type { Queryable } from '../../database/database.ts';
import { FOREIGN_HINT, foreignJournals, formatForeignJournals } from '../../worker/journal/foreign.ts';
import type { ForeignJournal } from '../../worker/journal/foreign.ts';
import { count } from '../../core/format.ts';
import { failed, ok, warning } from './check.ts';
import type { Check } from './check.ts';

interface JournalFacts {
  journals: number;
  /** What is wrong with the files. */
  damaged: string[];
  /** Journals of other ledgers that no person has accepted. */
  foreign: ForeignJournal[];
  /** Attempts that only a journal knows. */
  unknown: number;
}

export async function gatherJournals(
  db: Queryable,
  folder: string,
  ledgerId: string,
  signal: AbortSignal,
): Promise<JournalFacts> {
  const foreign = await foreignJournals(db, folder, ledgerId);
  const facts: JournalFacts = { journals: 0, damaged: [], foreign, unknown: 0 };
  const onJournal = (): void => void (facts.journals += 1);
  for await (const { found } of journalLooks(db, folder, { ledgerId, batch: null, onJournal })) {
    if (signal.aborted) break;
    for (const { invariant, what } of found) {
      if (invariant === JOURNAL_RULES.whole.name) facts.damaged.push(what);
      if (invariant === JOURNAL_RULES.intent.name) facts.unknown += 1;
    }
  }
  return facts;
}

export function judgeJournals({ journals, damaged, foreign, unknown }: JournalFacts): Check[] {
  const checks: Check[] = [];
  if (damaged.length > 0) {
    checks.push(
      warning(
        'journals',
        some(damaged),
        `${sentence(JOURNAL_RULES.whole.next)}; \`vidbatch verify\` shows more.`,
      ),
    );
  }
  if (foreign.length > 0) {
    const what = `${formatForeignJournals(foreign)}; a worker sends nothing`;
    checks.push(failed('journals', what, FOREIGN_HINT));
  }
  if (unknown > 0) {
    checks.push(
      warning(
        'journals',
        `${count(unknown)} ${unknown === 1 ? 'attempt is' : 'attempts are'} in a journal alone, as after a restored ledger`,
        'Start `vidbatch work` on this machine before anything is submitted again: it brings them back.',
      ),
    );
  }
  const read = journals === 0 ? 'none yet' : `${count(journals)} read`;
  return checks.length > 0 ? checks : [ok('journals', `${read}; the ledger knows them`)];
}

function some([first = '', ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first}, and ${count(others.length)} more like it`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
