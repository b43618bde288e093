import type { Config } from '../core/config.ts';
import { messageOf, refusal } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Database } from '../database/database.ts';
import { holdsLedger } from '../database/incoming.ts';
import { closedHint, closedRefusal, formatClosed, readClosed } from '../ledger/closed.ts';
import {
  acceptForeignJournals,
  foreignJournals,
  foreignRefusal,
  formatForeignJournals,
} from './journal/foreign.ts';
import { journalFolder } from './journal/journal.ts';

/* Whether this process may use a ledger that it has just opened. */

/**
 * `worker`: sends rows, so it must hold the embedded folder itself. `writer`: may make the ledger. `reader`: the
 * ledger must be there. `copier`: the ledger must be there, no other process may hold its folder, and it may be closed.
 */
export type Role = 'worker' | 'writer' | 'reader' | 'copier';

/**
 * A closed ledger stops a worker and a writer. A reader only warns, and a copier decides itself. A ledger that is not
 * complete stops them all. Returns whether the ledger is closed.
 */
export async function judgeClosed(db: Database, role: Role, log: Logger): Promise<boolean> {
  const closed = await readClosed(db);
  if (closed === undefined) return false;
  if (closed.code === 'incomplete' || role === 'worker' || role === 'writer') throw closedRefusal(closed);
  if (role === 'reader') {
    log.warn({ event: 'ledger-closed', reason: closed.code, hint: closedHint(closed) }, formatClosed(closed));
  }
  return true;
}

/**
 * For a process that would make a ledger on a server. The data folder may hold the ledger that it was meant to use, and its
 * journals are removed after some time, so they alone do not tell.
 * @throws VidbatchError exit 3 when the folder holds an embedded ledger, and no person has accepted it.
 */
export function refuseSecondLedger(
  { dataDir, acceptForeignJournals: acceptedBy }: Config,
  server: string,
): void {
  if (acceptedBy !== undefined || !holdsLedger(dataDir)) return;
  throw refusal(
    'LEDGER_IN_FOLDER',
    `${dataDir} holds a ledger, and ${server} holds none: a new one would pay for the same rows again; nothing was sent`,
    'Unset DATABASE_URL and bring the ledger there: `vidbatch ledger copy --to …`. For a new ledger, name a new folder in VIDBATCH_DATA_DIR.',
  );
}

/** Foreign journals stop a worker and a writer. A reader only warns. */
export async function judgeForeignJournals(
  db: Database,
  id: string,
  { dataDir, acceptForeignJournals: acceptedBy }: Config,
  role: Role,
  log: Logger,
): Promise<void> {
  if (role === 'reader') {
    const told = await foreignJournals(db, journalFolder(dataDir), id).then(
      (journals) =>
        journals.length === 0 ? undefined : `${formatForeignJournals(journals)}; nothing is sent`,
      // Its ledger may be on another machine, and the folder may belong to another user.
      (error: unknown) => messageOf(error),
    );
    if (told !== undefined) log.warn({ event: 'foreign-journals' }, told);
    return;
  }
  const journals = await foreignJournals(db, journalFolder(dataDir), id);
  if (journals.length === 0) return;
  if (acceptedBy === undefined) throw foreignRefusal(journals);
  await acceptForeignJournals(db, journals, acceptedBy);
}
