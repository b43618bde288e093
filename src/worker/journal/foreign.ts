import { basename, dirname, join } from 'node:path';
import { refusal, type VidbatchError } from '../../core/errors.ts';
import { journalNames, readJournal } from './file.ts';
import type { Queryable } from '../../database/database.ts';
import { diskError } from '../../database/disk-errors.ts';
import { acceptedJournals, acceptJournal, knownJournals } from '../../ledger/send/journal.ts';

/** A journal in the data folder, and the ledger that it belongs to. */
export interface OwnedJournal {
  path: string;
  /** Undefined: its first line cannot be read, so nothing says whose it is. */
  ledger: string | undefined;
}

/** Journals of other ledgers that no person has accepted for this ledger. They mean that this may be the wrong ledger. */
export async function foreignJournals(
  db: Queryable,
  folder: string,
  ledgerId: string,
): Promise<OwnedJournal[]> {
  const names = await journalNames(folder);
  if (names.length === 0) return [];
  const known = await knownJournals(db, names);
  const journals = await readOwners(
    folder,
    names.filter((name) => !known.has(name)),
  );
  const found = journals.filter(({ ledger }) => ledger !== ledgerId);
  if (found.length === 0) return [];
  const accepted = await acceptedJournals(db);
  return found.filter((one) => !accepted.has(acceptedAs(one)));
}

function acceptedAs({ path, ledger }: OwnedJournal): string {
  return ledger ?? basename(path);
}

/** Whose these journals are. An empty one belongs to no ledger, and is left out: its worker has sent nothing. */
export async function readOwners(folder: string, names: readonly string[]): Promise<OwnedJournal[]> {
  const found: OwnedJournal[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      for await (const entry of readJournal(path)) {
        const header = entry.kind === 'line' && entry.line.kind === 'header' ? entry.line : undefined;
        found.push({ path, ledger: header?.ledger });
        break;
      }
    } catch (cause) {
      throw diskError('DATA_DIR', path, cause);
    }
  }
  return found;
}

/** A person confirms that this is the right ledger, once for each other ledger. */
export async function acceptForeignJournals(
  db: Queryable,
  journals: readonly OwnedJournal[],
  who: string,
): Promise<void> {
  for (const accepted of new Set(journals.map(acceptedAs))) {
    await acceptJournal(db, accepted, who);
  }
}

const SHOWN = 3;

/** The foreign journals, and what they may mean. */
export function formatForeignJournals(journals: readonly OwnedJournal[]): string {
  const [first] = journals;
  const folder = first === undefined ? '' : `${dirname(first.path)}: `;
  const unsigned = journals.filter(({ ledger }) => ledger === undefined);
  const signed = journals.filter(({ ledger }) => ledger !== undefined);
  const found = [
    ...(signed.length === 0
      ? []
      : [formatSome(signed, 'belongs to another ledger', 'belong to another ledger')]),
    ...(unsigned.length === 0
      ? []
      : [formatSome(unsigned, 'does not say whose it is', 'do not say whose they are')]),
  ];
  return `${folder}${found.join(', and ')}. The ledger may have been replaced: its rows may be paid already`;
}

function formatSome(journals: readonly OwnedJournal[], one: string, several: string): string {
  const names = journals.slice(0, SHOWN).map(({ path }) => basename(path));
  const more = journals.length > SHOWN ? ` and ${journals.length - SHOWN} more` : '';
  const what = journals.length === 1 ? `1 journal ${one}` : `${journals.length} journals ${several}`;
  return `${what} (${names.join(', ')}${more})`;
}

/** If several ledgers use one folder, each of them asks once. */
export const FOREIGN_HINT =
  'Restore the ledger, or set DATABASE_URL or VIDBATCH_DATA_DIR to it. Only if this is the right ledger: --accept-foreign-journals. With a wrong one, it pays for sent rows again.';

export function foreignRefusal(journals: readonly OwnedJournal[]): VidbatchError {
  return refusal('FOREIGN_JOURNALS', `${formatForeignJournals(journals)}; nothing was sent`, FOREIGN_HINT);
}
