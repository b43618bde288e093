import { putBudget } from '../batch/budget.ts';
import { usageError } from '../core/errors.ts';
import type { Money } from '../core/money/money.ts';
import { transaction, type Database } from '../database/database.ts';
import { lockBatch, type Batch } from '../ledger/batches.ts';
import { refuseCopied } from '../ledger/closed.ts';
import { countHeld, readBudgetMark } from '../ledger/money/budget.ts';

/**
 * An operator changes the most that a batch may cost; null removes the limit. `mark`: of the newest decision that the
 * operator saw. A form that is sent twice thus decides once.
 * @throws VidbatchError exit 2 when there is a newer decision by now, or when a row does not fit under such a budget.
 */
export async function changeBudget(
  db: Database,
  who: string,
  batch: Pick<Batch, 'id' | 'name'>,
  budget: Money | null,
  mark?: string,
): Promise<void> {
  await transaction(db, async (session) => {
    await refuseCopied(session);
    await lockBatch(session, batch.id);
    if (mark !== undefined && (await readBudgetMark(session, batch.id)) !== mark)
      throw usageError(
        'CHANGED',
        `batch ${batch.name}: its budget was changed meanwhile; nothing was done`,
        'Look at its budget again.',
      );
    await putBudget(session, batch, budget, who);
  });
  await countHeld(db);
}
