import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable, Database } from '../../database/database.ts';
import { readBatchNames } from '../../ledger/read/batch-numbers.ts';
import { listFeeders } from '../../ledger/send/feeder.ts';
import { checkContent, INVARIANTS, checkSlice, checkWhole, readSlices } from '../../ledger/verify/walk.ts';
import { finding, type Finding, type Rule } from '../../ledger/verify/invariant.ts';
import { queueName } from '../../worker/queue/name.ts';
import { openQueue, readLive, type QueueStore } from '../../worker/queue/queue.ts';

/** What the inspection of one part found, and how to repeat it. Without `again`, the part does not change by itself. */
export interface Inspection {
  found: readonly Finding[];
  again?: () => Promise<readonly Finding[]>;
}

/** Workers write meanwhile, so only a fault that is there twice is a finding. */
const BETWEEN_MS = 1_000;
/** The most findings that wait for their second inspection. It bounds the memory. */
const MOST_WAITING = 1_000;

/** Yields the findings that are still there a moment later. */
export async function* confirmed(
  inspections: AsyncIterable<Inspection>,
  pause: () => Promise<unknown> = () => sleep(BETWEEN_MS),
): AsyncGenerator<Finding> {
  let waiting: Inspection[] = [];
  let suspicions = 0;
  for await (const inspection of inspections) {
    if (inspection.found.length === 0) continue;
    if (inspection.again === undefined) yield* inspection.found;
    else {
      waiting.push(inspection);
      suspicions += inspection.found.length;
    }
    if (suspicions < MOST_WAITING) continue;
    yield* inspectAgain(waiting, pause);
    waiting = [];
    suspicions = 0;
  }
  yield* inspectAgain(waiting, pause);
}

async function* inspectAgain(
  waiting: readonly Inspection[],
  pause: () => Promise<unknown>,
): AsyncGenerator<Finding> {
  if (waiting.length === 0) return;
  await pause();
  for (const { found, again } of waiting) {
    const before = new Set(found.map(identityOf));
    for (const one of (await again?.()) ?? []) if (before.has(identityOf(one))) yield one;
  }
}

function identityOf({ invariant, batch, key, attempt, what }: Finding): string {
  return JSON.stringify([invariant, batch, key, attempt, what]);
}

/**
 * Checks every invariant of the ledger, for one batch or (null) for all, in short queries and constant memory. `onRows` gets
 * the number of rows that were walked.
 */
export async function* inspectLedger(
  db: Queryable,
  batchId: number | null,
  onRows: (rows: number) => void = () => undefined,
): AsyncGenerator<Inspection> {
  const [ofSlices, ofWhole] = [
    INVARIANTS.filter(({ over }) => over === 'slice'),
    INVARIANTS.filter(({ over }) => over === 'whole'),
  ];
  let walked = 0;
  for await (const slice of readSlices(db, batchId)) {
    for (const invariant of ofSlices) {
      const look = (): Promise<Finding[]> => checkSlice(db, invariant, slice, batchId);
      yield { found: await look(), again: look };
    }
    walked += slice.rows;
    onRows(walked);
  }
  for (const invariant of ofWhole) {
    for (let after: string | undefined = ''; after !== undefined;) {
      const from: string = after;
      const look = (): Promise<Finding[]> => checkWhole(db, invariant, batchId, { after: from });
      const found: Finding[] = await look();
      yield { found, again: look };
      after = found.at(-1)?.what;
    }
  }
  for await (const found of checkContent(db, batchId)) yield { found };
}

/** The queue may be lost, but every job in it must name a batch of this ledger. */
const JOB_KNOWN: Rule = {
  name: 'job-known',
  holds: 'every job in the queue names a batch of this ledger',
  severity: 'broken',
  next: 'remove the job on the board (a worker refuses it), and find out which program writes to this queue',
};

interface QueueOptions {
  ledgerId: string;
  onJobs?: (jobs: number) => void;
}

/** Compares every queue of this ledger with the ledger. */
export async function* inspectQueues(
  db: Database,
  store: QueueStore,
  { ledgerId, onJobs }: QueueOptions,
): AsyncGenerator<Inspection> {
  const fed = (await listFeeders(db)).map(({ queue }) => queue);
  for (const name of new Set([queueName(ledgerId, null), ...fed])) {
    const look = (): Promise<Finding[]> => inspectQueue(db, store, name);
    yield { found: await inspectQueue(db, store, name, onJobs), again: look };
  }
}

async function inspectQueue(
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
