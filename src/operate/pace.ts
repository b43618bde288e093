import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { listFeeders } from '../ledger/send/feeder.ts';
import { readLedgerId } from '../ledger/read/rows.ts';
import { readSpeed } from '../ledger/read/batch-numbers.ts';
import type { Speed } from '../ledger/read/batch-numbers.ts';
import { sends } from '../worker/queue/name.ts';
import { count, duration } from '../core/format.ts';
import type { Gate } from './gate.ts';
import type { Summary } from './summary.ts';

/** How fast a batch is sent, and how long the rest takes. */
export interface Pace {
  /** Accepted rows a second, over the last minute or since the first one. */
  rate: number;
  /** Until everything is sent that the budget pays for. Null: nothing is left, nothing moves, or a gate may stay shut. */
  etaSeconds: number | null;
  /** A worker that would send its rows has been seen lately. */
  fed: boolean;
  /** The numbers behind `rate`. */
  lately: Speed;
}

/** Gates that do not change the estimate: throttling is part of the rate already. */
const PASSING: ReadonlySet<Gate['gate']> = new Set(['throttled', 'other-provider']);

export async function readPace(db: Queryable, batch: Pick<Batch, 'id'>, summary: Summary): Promise<Pace> {
  const lately = await readSpeed(db, batch.id);
  const fed = await isFed(db, batch.id);
  const rate = lately.accepted / lately.seconds;
  return { rate, etaSeconds: etaOf(rate, fed, summary), fed, lately };
}

/** Whether a worker has been seen lately that would send the rows of this batch. */
export async function isFed(db: Queryable, batchId: number): Promise<boolean> {
  const id = await readLedgerId(db);
  return (await listFeeders(db)).some(({ queue, alive }) => alive && sends(queue, id, batchId));
}

/** Says that rows wait for a worker; undefined: they do not. */
export function formatUnfed({
  counts,
  fed,
}: Pick<Summary, 'counts'> & Pick<Pace, 'fed'>): string | undefined {
  if (counts.pending === 0 || fed) return undefined;
  return 'no worker feeds these rows: start `vidbatch work`, or `vidbatch run` with the manifest';
}

/** Whole seconds. */
export function etaOf(
  rate: number,
  fed: boolean,
  { counts, gates, budget }: Pick<Summary, 'counts' | 'gates' | 'budget'>,
): number | null {
  // Rows that the budget does not pay for are never sent.
  const open = counts.pending + counts.submitting - (budget?.beyond ?? 0);
  const moves = rate > 0 && fed && gates.every(({ gate }) => PASSING.has(gate));
  return open > 0 && moves ? Math.round(open / rate) : null;
}

/** A slow pace as a number of rows: `0.0 accepted/s` would look like a standstill. */
export function speedOf({ accepted, seconds }: Speed): string {
  const lately = seconds < 60 ? duration(seconds * 1000) : 'minute';
  if (accepted / seconds >= 1) return `${(accepted / seconds).toFixed(1)} accepted/s over the last ${lately}`;
  return `${count(accepted)} accepted in the last ${lately}`;
}
