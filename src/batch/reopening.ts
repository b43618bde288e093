import { usageError } from '../core/errors.ts';
import { countStates, findBatch, lockBatch } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import type { Chosen } from '../ledger/operator/retry.ts';
import { quoted } from '../core/shell-word.ts';

/**
 * Some rows of a cancelled batch are to be taken up again, and the batch is active with them: what comes back from the
 * provider unsent would be sent again, too, though nobody asked for it. Within the transaction that takes them up.
 * @throws VidbatchError exit 2 while rows of it are in flight.
 */
export async function checkReopening(
  db: Queryable,
  { id, name }: Pick<Batch, 'id' | 'name'>,
  chosen: Chosen,
): Promise<void> {
  if (Object.keys(chosen).length === 0) return;
  await lockBatch(db, id);
  if ((await findBatch(db, name))?.state !== 'cancelled') return;
  const { submitting } = await countStates(db, id);
  if (submitting === 0) return;
  throw usageError(
    'STILL_IN_FLIGHT',
    `batch ${name} was cancelled, and ${submitting.toLocaleString('en')} of its rows ${submitting === 1 ? 'is' : 'are'} still in flight: what comes back unsent would be sent again with those that you chose; nothing was changed`,
    `\`vidbatch status ${quoted(name)}\` shows when there are none; then say it again. Without a choice, \`retry\` takes up all of it.`,
  );
}
