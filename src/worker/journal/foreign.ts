import { basename, dirname, join } from 'node:path';
import { refusal } from '../../core/errors.ts';
import type { VidbatchError } from '../../core/errors.ts';
import { journalNames, readJournal } from './file.ts';
import { logEvent } from '../../ledger/batches.ts';
import type { Queryable } from '../../database/database.ts';
import { diskError } from '../../database/disk-errors.ts';
import { knownJournals } from '../../ledger/send/journal.ts';

/** A journal in the data folder that is not known to belong to this ledger. */
export interface ForeignJournal {
  path: string;
  /** Undefined: its first line cannot be read, so nothing says whose it is. */
  ledger: string | undefined;
}

const ACCEPTED = 'accept-foreign-journals';

/** Journals of other ledgers that no person has accepted for this ledger. They mean that this may be the wrong ledger. */
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
    const owner = await ownerOf(path);
    if (owner !== 'no one' && owner.ledger !== ledgerId) found.push({ path, ledger: owner.ledger });
  }
  if (found.length === 0) return [];
  const accepted = await acceptedJournals(db);
  return found.filter((one) => !accepted.has(acceptedAs(one)));
}

/** What persons have accepted for this ledger: ids of ledgers, and names of journals that do not say theirs. */
export async function acceptedJournals(db: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ detail: string }>(
    'select detail from vidbatch.event_log where event = $1',
    [ACCEPTED],
  );
  return new Set(rows.map(({ detail }) => detail));
}

function acceptedAs({ path, ledger }: ForeignJournal): string {
  return ledger ?? basename(path);
}

/** `no one`: the file is empty, so its worker has sent nothing. */
async function ownerOf(path: string): Promise<{ ledger: string | undefined } | 'no one'> {
  try {
    for await (const entry of readJournal(path)) {
      const header = entry.kind === 'line' && entry.line.kind === 'header' ? entry.line : undefined;
      return { ledger: header?.ledger };
    }
    return 'no one';
  } catch (cause) {
    throw diskError('DATA_DIR', path, cause);
  }
}

/** A person confirms that this is the right ledger, once for each other ledger. */
export async function acceptForeignJournals(
  db: Queryable,
  journals: readonly ForeignJournal[],
  who: string,
): Promise<void> {
  for (const accepted of new Set(journals.map(acceptedAs))) {
    await logEvent(db, ACCEPTED, accepted, undefined, who);
  }
}

const SHOWN = 3;

/** The foreign journals, and what they may mean. */
export function formatForeignJournals(journals: readonly ForeignJournal[]): string {
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

function formatSome(journals: readonly ForeignJournal[], one: string, several: string): string {
  const names = journals.slice(0, SHOWN).map(({ path }) => basename(path));
  const more = journals.length > SHOWN ? ` and ${journals.length - SHOWN} more` : '';
  const what = journals.length === 1 ? `1 journal ${one}` : `${journals.length} journals ${several}`;
  return `${what} (${names.join(', ')}${more})`;
}

/** If several ledgers use one folder, each of them asks once. */
export const FOREIGN_HINT =
  'Restore the ledger, or set DATABASE_URL or VIDBATCH_DATA_DIR to it. Only if this is the right ledger: --accept-foreign-journals. With a wrong one, it pays for sent rows again.';

export function foreignRefusal(journals: readonly ForeignJournal[]): VidbatchError {
  return refusal('FOREIGN_JOURNALS', `${formatForeignJournals(journals)}; nothing was sent`, FOREIGN_HINT);
}
