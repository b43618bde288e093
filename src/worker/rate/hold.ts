import type { Clock, Verdict } from '../submit.ts';

/** What all rows of a worker wait for: the end of a throttle, or the next slots or places under its limits. */
export interface Hold {
  /** No row is sent for so long. */
  forMs(ms: number): void;
  /** Milliseconds until it is over; not above zero: it is. */
  leftMs(): number;
  /** Hears what a verdict says of it. True: its row stays in hand until it is over, as no other could go in its place. */
  keeps(verdict: Verdict): boolean;
  /** Whether rows have waited lately for the provider's tasks to end. */
  isFull(): boolean;
}

/** What all wait for may end earlier than the ledger said: its clock can be set back. */
export const LONGEST_HOLD_MS = 10_000;
/** Rows that waited for a task to end so lately still do, or would. */
const FULL_MS = 5_000;

/** `onFull`: rows begin to wait for tasks to end. */
export function createHold(clock: Clock, onFull?: () => void): Hold {
  let heldUntil = 0;
  let fullAt = -Infinity;

  function forMs(ms: number): void {
    heldUntil = Math.max(heldUntil, clock.monotonic() + ms);
  }

  function isFull(): boolean {
    return clock.monotonic() - fullAt < FULL_MS;
  }

  function noteFull(): void {
    const begins = !isFull();
    fullAt = clock.monotonic();
    if (begins) onFull?.();
  }

  return {
    forMs,
    leftMs: () => heldUntil - clock.monotonic(),
    keeps(verdict) {
      if (verdict.kind !== 'refused') return false;
      const { reason, ofModel, waitMs } = verdict.refusal;
      if (reason === 'in-flight') noteFull();
      const waits = reason === 'rate' || reason === 'in-flight';
      if (!waits || ofModel === true || waitMs === undefined) return false;
      forMs(Math.min(waitMs, LONGEST_HOLD_MS));
      return true;
    },
    isFull,
  };
}
