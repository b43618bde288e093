import { MOST_ROWS } from './queue/chunk.ts';
import type { Clock } from './submit.ts';

/** How fast this worker sends, and what follows for the size of its chunks. */
export interface Pace {
  /** Counts claimed rows. */
  claimed(rows: number): void;
  /** Rows that one job may claim: what this worker sends in about a second. */
  size(): number;
  /** Rows for which jobs should wait in the queue: about a second of work, at least one for each open call. */
  ahead(): number;
  /** Jobs that a worker works on at a time: all but one of them fill its open calls. */
  jobs: number;
}

/** More jobs at a time do not help. */
const MOST_JOBS = 8;

/** The rate is measured over this time. */
const MEASURED_MS = 1_000;

/** `concurrency`: open calls of the worker. `most`: rows ahead, at most. */
export function createPace(clock: Clock, { concurrency, most }: { concurrency: number; most: number }): Pace {
  // BullMQ looks at a higher number only when a job ends, which may take minutes: so it does not change.
  const jobs = Math.min(concurrency, Math.max(MOST_JOBS, Math.ceil(concurrency / MOST_ROWS) + 1));
  const least = Math.ceil(concurrency / Math.max(1, jobs - 1));
  let perSecond: number | undefined;
  let since = clock.monotonic();
  let rows = 0;

  function measure(): void {
    const ms = clock.monotonic() - since;
    if (ms < MEASURED_MS) return;
    // A pause says nothing about the rate.
    if (rows > 0) perSecond = (rows * 1000) / ms;
    rows = 0;
    since = clock.monotonic();
  }

  function size(): number {
    measure();
    return Math.max(1, Math.min(MOST_ROWS, most, Math.max(least, Math.round(perSecond ?? 0))));
  }

  return {
    claimed(claimed) {
      measure();
      rows += claimed;
    },
    size,
    ahead: () => Math.min(most, Math.max(concurrency, Math.round(perSecond ?? 0), size())),
    jobs,
  };
}
