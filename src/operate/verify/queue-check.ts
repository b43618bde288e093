import type { Database } from '../../database/database.ts';
import { readBatchNames } from '../../ledger/read/batch-numbers.ts';
import { listFeeders } from '../../ledger/send/feeder.ts';
import { finding } from '../../ledger/verify/invariant.ts';
import type { Finding, Rule } from '../../ledger/verify/invariant.ts';
import { queueName } from '../../worker/queue/name.ts';
import { openQueue, readLive } from '../../worker/queue/queue.ts';
import type { QueueStore } from '../../worker/queue/queue.ts';
import type { Look } from './verify.ts';

/** The queue may be lost, but every job in it should be ours. */
const JOB_KNOWN: Rule = {
  name: 'job-known',
  holds: 'every job in the queue names a batch of this ledger',
  severity: 'broken',
  next: 'remove the job on the board (a worker refuses it), and find out what else writes to this queue',
};

interface QueueLooks {
  ledgerId: string;
  onJobs?: (jobs: number) => void;
}

/** Compares every queue of this ledger with the ledger. */
export async function* queueLooks(
  db: Database,
  store: QueueStore,
  { ledgerId, onJobs }: QueueLooks,
): AsyncGenerator<Look> {
  const fed = (await listFeeders(db)).map(({ queue }) => queue);
  for (const name of new Set([queueName(ledgerId, null), ...fed])) {
    const look = (): Promise<Finding[]> => lookAt(db, store, name);
    yield { found: await lookAt(db, store, name, onJobs), again: look };
  }
}

async function lookAt(
  db: Database,
  store: QueueStore,
  name: string,
  onJobs?: (jobs: number) => void,
): Promise<Finding[]> {
  const queue = openQueue(store, name, { skipMetasUpdate: true });
  try {
    const { jobs } = await readLive(queue);
    onJobs?.(jobs.length);
    const named = jobs.flatMap(({ batch }) => batch ?? []);
    const known = new Set((await readBatchNames(db, [...new Set(named)])).map(({ id }) => id));
    return jobs
      .filter(({ batch }) => batch === undefined || !known.has(batch))
      .map(({ id }) => finding(JOB_KNOWN, { what: `job ${id} in ${name} names no batch of this ledger` }));
  } finally {
    await queue.close();
  }
}
