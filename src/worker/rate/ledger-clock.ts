import type { Claim } from '../../ledger/send/claim.ts';

/**
 * By how many milliseconds the monotonic clock of this process is ahead of the ledger's clock: at least `low`, at most
 * `high`, as known at `at`.
 */
export interface Ahead {
  low: number;
  high: number;
  at: number;
}

/** The ledger's clock at the start of a statement (milliseconds since the epoch), and ours before and after the statement. */
export interface Reading {
  nowMs: number;
  asked: number;
  answered: number;
}

/** NTP slews a clock by no more: 0.5 ms a second. */
const DRIFT = 0.0005;

/**
 * Adds one reading. A statement may wait for a connection or for locks, but the quickest of many readings are right to a
 * fraction of a millisecond. A reading that contradicts the others means that a clock was set.
 */
export function narrowed(known: Ahead | undefined, { nowMs, asked, answered }: Reading): Ahead {
  const read = { low: asked - nowMs, high: answered - nowMs, at: answered };
  if (known === undefined) return read;
  const drifted = Math.max(0, answered - known.at) * DRIFT;
  const low = Math.max(read.low, known.low - drifted);
  const high = Math.min(read.high, known.high + drifted);
  return low <= high ? { low, high, at: answered } : read;
}

/** A moment of the ledger's clock by our clock. A statement arrives faster than its answer, so `low` is nearer. */
export function momentOf(ledgerMs: number, { low }: Ahead): number {
  return ledgerMs + low;
}

/** Counts the time until each row's slot. Each claim under a limit is a reading of the ledger's clock. */
export interface SlotClock {
  timed(ask: () => Promise<Claim[]>): Promise<Claim[]>;
  /** The claim with the time until its slot from now on: the ledger counted from the claim, and its answer took a while. */
  fromNow(claim: Claim): Claim;
}

export function createSlotClock(): SlotClock {
  let ahead: Ahead | undefined;
  return {
    async timed(ask) {
      const asked = performance.now();
      const claims = await ask();
      const answered = performance.now();
      const nowMs = claims.find((one) => one.nowMs !== undefined)?.nowMs;
      if (nowMs !== undefined) ahead = narrowed(ahead, { nowMs, asked, answered });
      return claims;
    },
    fromNow(claim) {
      const { slotMs, nowMs } = claim;
      if (slotMs === undefined || nowMs === undefined || ahead === undefined) return claim;
      return { ...claim, slotMs: momentOf(nowMs + slotMs, ahead) - performance.now() };
    },
  };
}
