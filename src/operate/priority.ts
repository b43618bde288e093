import { parseCount } from '../core/units.ts';
import { transaction, type Database } from '../database/database.ts';
import { refuseCopied } from '../ledger/closed.ts';
import { logEvent, setPriority, type Batch } from '../ledger/batches.ts';

/** `name`: of the flag or the field. @throws VidbatchError exit 2 for a number that no batch can have. */
export function parsePriority(name: string, text: string): number {
  return parseCount(name, text, -100, 100);
}

/** An operator changes which batches go first. The event log says who, in the same transaction. */
export async function changePriority(
  db: Database,
  who: string,
  batch: Pick<Batch, 'id' | 'priority'>,
  priority: number,
): Promise<void> {
  await transaction(db, async (session) => {
    await refuseCopied(session);
    await setPriority(session, batch.id, priority);
    await logEvent(session, 'priority', `${batch.priority} → ${priority}`, batch.id, who);
  });
}
