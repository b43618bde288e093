import type { Blocked } from '../../ledger/send/blocked.ts';
import type { Clock } from '../submit.ts';

/** What all rows of a worker wait for: the end of a throttle. */
export interface Hold {
  /** No row is claimed for so long. */
  forMs(ms: number): void;
  /** Milliseconds until it is over; not above zero: it is. */
  leftMs(): number;
  /** Hears why rows of a batch were not claimed. */
  hears(blocked: Blocked): void;
  /** Whether rows have waited lately for the provider's tasks to end. */
  isFull(): boolean;
}

/** What all wait for may end earlier than the ledger said: its clock can be set back. */
const LONGEST_HOLD_MS = 10_000;
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

  return {
    forMs,
    leftMs: () => heldUntil - clock.monotonic(),
    hears({ reason, waitMs = 0 }) {
      if (reason === 'throttled') forMs(Math.min(waitMs, LONGEST_HOLD_MS));
      if (reason !== 'in-flight') return;
      const begins = !isFull();
      fullAt = clock.monotonic();
      if (begins) onFull?.();
    },
    isFull,
  };
}
