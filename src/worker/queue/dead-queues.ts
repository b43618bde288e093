import { forgetFeeder, listFeeders } from '../../ledger/send/feeder.ts';
import type { Queryable } from '../../database/database.ts';
import { batchesOfQueue } from './name.ts';
import { openQueue } from './queue.ts';
import type { QueueStore } from './queue.ts';

/** The queues of runs that were killed before they could remove them. Their rows are in the ledger. */
export async function removeDeadQueues(db: Queryable, store: QueueStore, ledgerId: string): Promise<void> {
  for (const { queue: name, alive } of await listFeeders(db)) {
    if (alive || batchesOfQueue(name, ledgerId) === null) continue;
    const queue = openQueue(store, name, { skipMetasUpdate: true });
    try {
      await queue.obliterate({ force: true });
    } finally {
      await queue.close();
    }
    await forgetFeeder(db, name);
  }
}
