/** How deep a queue may be. */
export interface Bounds {
  /** As deep it is at first. */
  least: number;
  /** `--queue-depth`. */
  most: number;
}

/** It is topped up when so much of it is free. */
const FREE = 0.25;
/** With less than this left, it nearly ran dry; with more than that, it may be less deep. */
const LOW = 0.25;
const AMPLE = 0.5;
/** Each time costs a query: it should last for so long, in milliseconds, and need not last for longer than that. */
const LASTS = { least: 200, most: 400 };
const CHANGE = { dry: 2, short: 1.25, long: 0.95 };
/** What stays when batches take turns. */
const KEPT = 0.1;

/** Of workers that have so many rows in their hands at a time, and take as many at once when all are answered. */
export function boundsOf(most: number, inHand: number): Bounds {
  return { least: Math.min(most, 48 + 2 * inHand), most };
}

/** Whether it is time to top up a queue of this depth, in which so many rows wait. */
export function isDue(depth: number, waiting: number): boolean {
  return waiting <= depth * (1 - FREE);
}

/**
 * How deep a queue shall be that was full to its depth so many milliseconds ago, and in which so many rows are left now: as
 * deep as keeps the workers busy, about what they send in a second, and no deeper, as who comes later waits behind it.
 */
export function nextDepth(depth: number, left: number, sinceMs: number, { least, most }: Bounds): number {
  if (left < depth * LOW) return Math.min(most, depth * CHANGE.dry);
  if (sinceMs < LASTS.least) return Math.min(most, Math.ceil(depth * CHANGE.short));
  if (sinceMs < LASTS.most || left < depth * AMPLE) return depth;
  return Math.max(least, Math.floor(depth * CHANGE.long));
}

/** Of the rows in it, so many stay when batches take turns anew, so that no worker runs dry meanwhile. */
export function keptOf(depth: number): number {
  return Math.max(1, Math.floor(depth * KEPT));
}
