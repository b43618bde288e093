import type { Blocked } from '../../ledger/send/blocked.ts';
import type { Clock } from '../submit.ts';

/** The time for which a worker claims no row, because the provider throttles. */
export interface Cooldown {
  /** No row is claimed for this long. */
  start(ms: number): void;
  /** Milliseconds until it is over; zero or less: it is over. */
  leftMs(): number;
  /** Records why rows of a batch were not claimed. */
  note(blocked: Blocked): void;
  /** Whether rows have recently waited for tasks of the provider to end. */
  isFull(): boolean;
}

/** The throttle may end earlier than the ledger said, because the ledger's clock can be set back. */
const LONGEST_COOLDOWN_MS = 10_000;
/** For this long after a row waited for a task to end, other rows are expected to wait, too. */
const FULL_MS = 5_000;

/** `onFull` is called when rows begin to wait for tasks to end. */
export function createCooldown(clock: Clock, onFull?: () => void): Cooldown {
  let until = 0;
  let fullAt = -Infinity;

  function start(ms: number): void {
    until = Math.max(until, clock.monotonic() + ms);
  }

  function isFull(): boolean {
    return clock.monotonic() - fullAt < FULL_MS;
  }

  return {
    start,
    leftMs: () => until - clock.monotonic(),
    note({ reason, waitMs = 0 }) {
      if (reason === 'throttled') start(Math.min(waitMs, LONGEST_COOLDOWN_MS));
      if (reason !== 'in-flight') return;
      const begins = !isFull();
      fullAt = clock.monotonic();
      if (begins) onFull?.();
    },
    isFull,
  };
}
