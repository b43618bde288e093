/**
 * What a monotonic clock of this process is ahead of the ledger's, in milliseconds: at least `low`, at most `high`, as
 * far as was known at `at`.
 */
export interface Ahead {
  low: number;
  high: number;
  at: number;
}

/** The ledger's clock as a statement began (milliseconds since the epoch), and ours before and after it. */
export interface Reading {
  nowMs: number;
  asked: number;
  answered: number;
}

/** NTP slews a clock by no more: 0.5 ms a second. */
const DRIFT = 0.0005;

/**
 * What one more reading tells. A question may have waited for a connection, and an answer for locks: of many, the
 * quickest are right to a fraction of a millisecond. A reading that contradicts the others tells of a clock that was set.
 */
export function narrowed(known: Ahead | undefined, { nowMs, asked, answered }: Reading): Ahead {
  const read = { low: asked - nowMs, high: answered - nowMs, at: answered };
  if (known === undefined) return read;
  const drifted = Math.max(0, answered - known.at) * DRIFT;
  const low = Math.max(read.low, known.low - drifted);
  const high = Math.min(read.high, known.high + drifted);
  return low <= high ? { low, high, at: answered } : read;
}

/** The moment by our clock that is this one by the ledger's. A question is shorter than its answer: `low` is nearer. */
export function momentOf(ledgerMs: number, { low }: Ahead): number {
  return ledgerMs + low;
}
