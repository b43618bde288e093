import { dirname, join } from 'node:path';
import { refusal } from '../errors.ts';
import type { VidbatchError } from '../errors.ts';
import { journalNames, readJournal } from '../journal/file.ts';
import { note } from './batch.ts';
import type { Queryable } from './database.ts';
import { diskTrouble } from './disk-trouble.ts';
import { knownJournals } from './journal.ts';

/** A journal in the data folder that belongs to another ledger. */
export interface ForeignJournal {
  path: string;
  ledger: string;
}

const ACCEPTED = 'accept-foreign-journals';

/** Journals of other ledgers that nobody has accepted for this ledger: this one may be the wrong ledger. */
export async function foreignJournals(
  db: Queryable,
  folder: string,
  ledgerId: string,
): Promise<ForeignJournal[]> {
  const names = await journalNames(folder);
  if (names.length === 0) return [];
  const known = await knownJournals(db, names);
  const found: ForeignJournal[] = [];
  for (const name of names) {
    if (known.has(name)) continue;
    const path = join(folder, name);
    const ledger = await ledgerOf(path);
    if (ledger !== undefined && ledger !== ledgerId) found.push({ path, ledger });
  }
  if (found.length === 0) return [];
  const { rows } = await db.query<{ detail: string }>('select detail from vidbatch.trail where event = $1', [
    ACCEPTED,
  ]);
  const accepted = new Set(rows.map(({ detail }) => detail));
  return found.filter(({ ledger }) => !accepted.has(ledger));
}

/** Undefined: the file does not say it, as when its writer has just begun. */
async function ledgerOf(path: string): Promise<string | undefined> {
  try {
    for await (const entry of readJournal(path)) {
      return entry.kind === 'line' && entry.line.kind === 'header' ? entry.line.ledger : undefined;
    }
    return undefined;
  } catch (cause) {
    throw diskTrouble('DATA_DIR', path, cause);
  }
}

/** A person says that this is the ledger to go on with. Asked once for each other ledger. */
export async function acceptForeignJournals(
  db: Queryable,
  journals: readonly ForeignJournal[],
  who: string,
): Promise<void> {
  for (const ledger of new Set(journals.map((one) => one.ledger))) {
    await note(db, ACCEPTED, ledger, undefined, who);
  }
}

const SHOWN = 3;

/** What there is, and what it may mean. */
export function formatForeignJournals(journals: readonly ForeignJournal[]): string {
  const [first] = journals;
  const folder = first === undefined ? '' : dirname(first.path);
  const names = journals.slice(0, SHOWN).map(({ path }) => path.slice(folder.length + 1));
  const more = journals.length > SHOWN ? ` and ${journals.length - SHOWN} more` : '';
  const what = journals.length === 1 ? '1 journal belongs' : `${journals.length} journals belong`;
  return `${folder}: ${what} to another ledger (${names.join(', ')}${more}). The ledger may have been replaced: its rows may be paid already`;
}

export function foreignRefusal(journals: readonly ForeignJournal[]): VidbatchError {
  return refusal(
    'FOREIGN_JOURNALS',
    `${formatForeignJournals(journals)}; nothing was sent`,
    'Restore the ledger, or correct DATABASE_URL or VIDBATCH_DATA_DIR. Only if this ledger is the right one: --accept-foreign-journals.',
  );
}
