import type { Disk } from './disk.ts';
import type { Scheduler } from './scheduler.ts';

/** A computer with a disk and clocks of its own; its processes share them. */
export interface Machine {
  readonly name: string;
  readonly disk: Disk;
  /** Milliseconds by which its wall clock is off. */
  wallOffset: number;
  /** Milliseconds that it slept, during which its monotonic clock stood still. */
  slept: number;
  asleepUntil: number;
  /** Its journals have been read since the ledger was last restored. */
  replayed: boolean;
}

/** The only time there is, as each computer sees it. */
export class VirtualClock {
  /** Milliseconds by which the database's clock is off. */
  databaseOffset = 0;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  wall({ wallOffset }: Machine): number {
    return this.#scheduler.now + wallOffset;
  }

  monotonic({ slept }: Machine): number {
    return this.#scheduler.now - slept;
  }

  database(): number {
    return this.#scheduler.now + this.databaseOffset;
  }
}
