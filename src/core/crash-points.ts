import { channel, type Channel } from 'node:diagnostics_channel';

/**
 * The points at which a crash matters, in the order of a row's life. Between any two of them, something outside of the
 * program changes.
 */
export const POINTS = [
  // making the ledger
  'database-made',
  'ledger-migrating',
  'ledger-migrated',
  'queue-migrated',
  // producer
  'import-begun',
  'rows-staged',
  'keys-assigned',
  'rows-merged',
  'batch-committed',
  'import-ended',
  // feeder
  'chunks-queued',
  // a worker's start
  'probe-armed',
  'journal-created',
  'journal-opened',
  // submission
  'job-taken',
  'claimed',
  'intended',
  'connected',
  'sending',
  'sent',
  'answering',
  'answered',
  'answer-journaled',
  'recorded',
  'job-completed',
  // a worker's end
  'worker-closed',
  'journal-closed',
  'journal-remembered',
  // what comes after a crash
  'attempt-restored',
  'answer-replayed',
  'unheard-settled',
  'journal-replayed',
  'rows-swept',
  'slots-freed',
  'feeders-forgotten',
  // operators
  'rows-retried',
  'row-resolved',
  // reconciliation
  'task-asked',
  'task-recorded',
  // copying a ledger
  'target-marked',
  'target-made',
  'source-closed',
  'tables-copied',
  'copy-committed',
] as const;

export type Point = (typeof POINTS)[number];

const channels = new Map<Point, Channel>(POINTS.map((point) => [point, channel(`vidbatch:${point}`)]));

/**
 * Publishes this point on the diagnostics channel `vidbatch:<point>`. Listeners run before this returns, and may end the
 * process. `taskId`: an id that is now on the disk, and must not be lost.
 */
export function crashPoint(point: Point, taskId?: string): void {
  channels.get(point)?.publish({ point, taskId });
}
