import { usageError } from '../core/errors.ts';
import { findBatch, listBatches } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { likely } from '../core/suggestion.ts';

/** The batch of that name, or a usage error that says which there are. */
export async function batchNamed(db: Queryable, name: string): Promise<Batch> {
  const batch = await findBatch(db, name);
  if (batch !== undefined) return batch;
  const names = (await listBatches(db)).map((one) => one.name);
  const meant = likely(name, names);
  const hint =
    names.length === 0
      ? 'There are no batches yet.'
      : meant === undefined
        ? `There are: ${names.slice(-10).join(', ')}.`
        : `Did you mean ${meant}?`;
  throw usageError('NO_SUCH_BATCH', `there is no batch named ${name}`, hint);
}
