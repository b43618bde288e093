import type { Batch } from '../ledger/batch.ts';
import type { Queryable } from '../database/database.ts';
import { livingLanes } from '../ledger/send/lane.ts';
import { ledgerId } from '../ledger/read/read.ts';
import { speedLately } from '../ledger/read/speed.ts';
import type { Speed } from '../ledger/read/speed.ts';
import { feeds } from '../worker/queue/queue.ts';
import { count, duration } from '../core/format.ts';
import type { Gate, Summary } from './summary.ts';

/** How fast a batch goes, and how long that would take. */
export interface Pace {
  /** Accepted rows a second, over the last minute or since the first one. */
  rate: number;
  /** Until all is sent that a budget pays for. Null: nothing is left, nothing moves, or a gate keeps rows for longer than anybody can say. */
  etaSeconds: number | null;
  /** Whether a worker has been seen lately that would send its rows. */
  fed: boolean;
  /** For people: how it went. */
  lately: Speed;
}

/** Gates that say nothing of when the rows will be sent: the provider's wish is part of the rate. */
const PASSING: ReadonlySet<Gate['gate']> = new Set(['throttled', 'other-provider']);

export async function readPace(db: Queryable, batch: Pick<Batch, 'id'>, summary: Summary): Promise<Pace> {
  const lately = await speedLately(db, batch.id);
  const fed = await isFed(db, batch.id);
  const rate = lately.accepted / lately.seconds;
  return { rate, etaSeconds: etaOf(rate, fed, summary), fed, lately };
}

/** Whether a worker has been seen lately that would send the rows of this batch. */
export async function isFed(db: Queryable, batchId: number): Promise<boolean> {
  const id = await ledgerId(db);
  return (await livingLanes(db)).some((lane) => feeds(lane, id, batchId));
}

/** That rows wait for a worker; undefined: they do not. */
export function unfedTold({ counts, fed }: Pick<Summary, 'counts'> & Pick<Pace, 'fed'>): string | undefined {
  if (counts.pending === 0 || fed) return undefined;
  return 'no worker feeds these rows: start `vidbatch work`, or `vidbatch run` with the manifest';
}

/** Whole seconds. */
export function etaOf(
  rate: number,
  fed: boolean,
  { counts, gates, budget }: Pick<Summary, 'counts' | 'gates' | 'budget'>,
): number | null {
  // What the budget does not pay for waits for another one.
  const open = counts.pending + counts.submitting - (budget?.beyond ?? 0);
  const moves = rate > 0 && fed && gates.every(({ gate }) => PASSING.has(gate));
  return open > 0 && moves ? Math.round(open / rate) : null;
}

/** Slow ones by their number: `0.0 accepted/s` would look like a standstill. */
export function speedOf({ accepted, seconds }: Speed): string {
  const lately = seconds < 60 ? duration(seconds * 1000) : 'minute';
  if (accepted / seconds >= 1) return `${(accepted / seconds).toFixed(1)} accepted/s over the last ${lately}`;
  return `${count(accepted)} accepted in the last ${lately}`;
}
