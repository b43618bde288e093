/**
 * The provider is halted after five uncertain answers in a row without an accept, and when it has throttled for this
 * long without one. After ten tries in a row that did not reach it, rows are tried one at a time. It is halted if it
 * was never reached, or not for this long.
 */
export const AVALANCHE = {
  uncertainInARow: 5,
  throttledMs: 15 * 60_000,
  unreachedInARow: 10,
  unreachedMs: 15 * 60_000,
} as const;

/** A share of failures counts only from this many outcomes on. */
export const FEWEST_OUTCOMES = 50;
