import { transaction, type Database } from '../../database/database.ts';
import { closedRefusal, closeLedger, excludeImports, isCopiedTo, readClosed } from '../closed.ts';
import { readOne } from '../read/query.ts';
import { readWorkers, type SeenWorker } from '../workers.ts';

/** What keeps a ledger from being copied: workers that are alive, or attempts without an outcome. */
export interface InUse {
  workers: SeenWorker[];
  inFlight: number;
  /** When the last of these attempts passes its deadline. */
  until: Date | null;
}

/**
 * Closes the ledger for its copy, in one transaction. Claims and imports that are under way end first. Each one that
 * comes later sees that the ledger is closed. So no row is sent, and no row is added, after the copy.
 * `alone`: no other process can have the ledger open, so each worker in it is dead.
 * Returns what still uses the ledger; then it stays open.
 * @throws VidbatchError exit 3 when it is closed for another reason, such as a copy to another place.
 */
export async function closeSource(
  db: Database,
  { to, who, alone }: { to: string; who: string; alone: boolean },
): Promise<InUse | undefined> {
  return transaction(db, async (session) => {
    await excludeImports(session);
    const closed = await readClosed(session);
    if (closed !== undefined && !isCopiedTo(closed, to)) throw closedRefusal(closed);
    // Waits for the end of each claim that has begun.
    await session.query('lock table vidbatch.row_state in share row exclusive mode');
    const workers = alone ? [] : (await readWorkers(session)).filter(({ alive }) => alive);
    const flying = await readOne<Omit<InUse, 'workers'>>(
      session,
      `select count(*)::int as "inFlight", max(deadline) as until from vidbatch.row_state where state = 'submitting'`,
    );
    if (workers.length > 0 || flying.inFlight > 0) return { workers, ...flying };
    await closeLedger(session, { code: 'copying', note: to }, who);
    return undefined;
  });
}
