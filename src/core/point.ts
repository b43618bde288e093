import { channel } from 'node:diagnostics_channel';
import type { Channel } from 'node:diagnostics_channel';

/**
 * The points at which it matters that this program may die: between any two of them, something outside of it has
 * changed. In the order in which a row meets them.
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
  'rows-fed',
  'rows-queued',
  'rows-unqueued',
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
  'row-given-back',
  'job-delayed',
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
  'lanes-freed',
  // operators
  'rows-retried',
  'row-resolved',
  // reconciliation
  'task-asked',
  'task-recorded',
] as const;

export type Point = (typeof POINTS)[number];

const channels = new Map<Point, Channel>(POINTS.map((point) => [point, channel(`vidbatch:${point}`)]));

/**
 * Says on the diagnostics channel `vidbatch:<point>` that this point is reached. Whoever listens is called before this
 * returns, and may look, or end the process here; without a listener it costs nothing.
 */
export function reached(point: Point): void {
  channels.get(point)?.publish({ point });
}
