import type { Point } from '../../src/core/crash-points.ts';
import type { StorageKind } from '../contract/storages.ts';
import { later, refuseSecond, forgetAttempts, forgetDatabase, forgetQueue, resolveLost } from './mishaps.ts';
import { CALLS } from './rows.ts';
import type { CrashCli } from './crash-cli.ts';

/** One death: a command that is run until it comes to the point, and what that may cost. */
export interface Death {
  point: Point;
  /** Which time it comes there, from 1; 1. */
  time?: number;
  /** The batch whose manifest the command is given; by itself one of its own, named after the point. */
  of?: string;
  command: (file: string, batch: string, cli: CrashCli) => string[];
  /**
   * `no row`: not one may be uncertain for it. `those in flight`: at most as many as the worker had open, and each
   * of them with an intent on the disk.
   */
  costs: 'no row' | 'those in flight';
  /** What happens before. */
  before?: (cli: CrashCli, batch: string) => Promise<void>;
  /** It dies there a second time at once, on Postgres: then it need not come to the point again. */
  twice?: true;
  /** Not on these storages, which have no such step. */
  never?: readonly StorageKind[];
}

export const CONCURRENCY = 3;

const run = (file: string): string[] => ['run', file, '--concurrency', String(CONCURRENCY)];
const runAlone = (file: string): string[] => ['run', file, '--concurrency', '1'];
const submit = (file: string): string[] => ['submit', file];

/** Bringing a manifest in, and into the queue. */
export const PRODUCING: readonly Death[] = [
  // Only an embedded ledger makes a database.
  {
    point: 'database-made',
    command: run,
    costs: 'no row',
    never: ['redis+postgres', 'postgres'],
    before: forgetDatabase,
  },
  { point: 'ledger-migrating', command: run, costs: 'no row' },
  { point: 'ledger-migrated', command: run, costs: 'no row' },
  // BullMQ keeps nothing in a ledger beside a Redis.
  {
    point: 'queue-migrated',
    command: run,
    costs: 'no row',
    never: ['redis+postgres', 'redis+embedded'],
  },
  { point: 'import-begun', command: submit, costs: 'no row' },
  { point: 'rows-staged', command: submit, costs: 'no row' },
  { point: 'keys-assigned', command: run, costs: 'no row' },
  { point: 'rows-merged', command: submit, costs: 'no row' },
  { point: 'batch-committed', command: run, costs: 'no row' },
  { point: 'import-ended', command: run, costs: 'no row' },
  { point: 'chunks-queued', command: submit, costs: 'no row' },
];

/** The way of a row from the queue to the provider, and what the sweeper says of it afterwards. */
export const SENDING: readonly Death[] = [
  { point: 'journal-created', command: run, costs: 'no row' },
  { point: 'journal-opened', command: run, costs: 'no row' },
  { point: 'job-taken', time: 2, command: run, costs: 'no row' },
  // The first claim of a batch is the only one in flight, and holds its canary slot. The second is one of a group.
  { point: 'claimed', of: 'first-claimed', command: run, costs: 'no row' },
  { point: 'unheard-settled', of: 'first-claimed', command: run, costs: 'no row' },
  { point: 'claimed', time: 2, command: run, costs: 'no row' },
  { point: 'intended', time: 2, command: run, costs: 'those in flight' },
  { point: 'connected', time: 2, command: run, costs: 'those in flight' },
  // So has its first request.
  { point: 'sending', command: run, costs: 'those in flight' },
  { point: 'slots-freed', of: 'sending', command: run, costs: 'those in flight', before: later },
  { point: 'sent', time: 2, command: run, costs: 'those in flight', twice: true },
  { point: 'rows-swept', of: 'sent', command: run, costs: 'those in flight', before: later },
  // Its feeder has filled the queue, which is lost with it.
  { point: 'chunks-queued', of: 'queue-lost', time: 2, command: run, costs: 'no row' },
  { point: 'job-taken', of: 'queue-lost', command: run, costs: 'no row', before: forgetQueue },
];

/** From the answer to the end of the worker. */
export const SETTLING: readonly Death[] = [
  { point: 'answering', time: 2, command: run, costs: 'those in flight' },
  { point: 'answered', time: 2, command: run, costs: 'those in flight' },
  { point: 'recorded', time: 2, command: run, costs: 'those in flight' },
  { point: 'job-completed', time: 2, command: run, costs: 'those in flight' },
  { point: 'worker-closed', command: run, costs: 'no row' },
  { point: 'journal-closed', command: run, costs: 'no row' },
  { point: 'journal-remembered', command: run, costs: 'no row' },
  // Last, because they stop the provider: the second row runs into a bad key, and the third is not sent.
  {
    point: 'recorded',
    of: 'halted',
    time: 2,
    command: runAlone,
    costs: 'no row',
    before: refuseSecond,
  },
  { point: 'probe-armed', of: 'halted', command: runAlone, costs: 'no row' },
];

/** What the next process does with the journals of those that died. */
export const REPLAYING: readonly Death[] = [
  // The last answer: everything else is recorded, or in the journal.
  { point: 'answer-journaled', time: CALLS, command: run, costs: 'no row' },
  { point: 'answer-replayed', of: 'answer-journaled', command: run, costs: 'no row' },
  {
    point: 'attempt-restored',
    of: 'answer-journaled',
    command: run,
    costs: 'no row',
    before: forgetAttempts,
  },
  { point: 'journal-replayed', of: 'answer-journaled', command: run, costs: 'no row', twice: true },
  // Who opens an embedded folder is its only feeder.
  {
    point: 'feeders-forgotten',
    of: 'answer-journaled',
    command: run,
    costs: 'no row',
    never: ['redis+postgres', 'postgres'],
  },
];

/** What operators do to batches that are over. */
export const OPERATING: readonly Death[] = [
  { point: 'rows-retried', command: (_file, batch) => ['retry', batch, '--yes'], costs: 'no row' },
  { point: 'row-resolved', command: resolveLost, costs: 'no row' },
  { point: 'task-asked', command: () => ['reconcile'], costs: 'no row' },
  { point: 'task-recorded', command: () => ['reconcile'], costs: 'no row', before: later },
];

/** The copying of a ledger. `test/crash/copying.test.ts` goes through them: each needs a ledger of its own. */
export const COPYING = [
  'target-marked',
  'target-made',
  'source-closed',
  'tables-copied',
  'copy-committed',
] as const satisfies Point[];
