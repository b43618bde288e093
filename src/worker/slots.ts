/** Counts the calls that a worker has open: each row that is being sent takes one slot. */
export interface Slots {
  /** Takes one to `most` slots, as many as are free, as soon as one is. */
  take(most: number): Promise<number>;
  release(slots: number): void;
  inUse(): number;
  /** Resolves when no slot is in use. */
  allFree(): Promise<void>;
}

/** Gives slots in the order in which they were asked for. */
export function createSlots(concurrency: number): Slots {
  let free = concurrency;
  let isGiving = false;
  let onAllFree: (() => void)[] = [];
  const waiting: { most: number; resolve: (slots: number) => void }[] = [];

  /** Slots that are released in one turn of the event loop are given together: then one claim takes all of them. */
  function giveSoon(): void {
    if (isGiving || waiting.length === 0) return;
    isGiving = true;
    setImmediate(() => {
      isGiving = false;
      give();
    });
  }

  function give(): void {
    while (free > 0) {
      const next = waiting.shift();
      if (next === undefined) return;
      const slots = Math.min(free, next.most);
      free -= slots;
      next.resolve(slots);
    }
  }

  return {
    take: (most) =>
      new Promise((resolve) => {
        waiting.push({ most, resolve });
        give();
      }),
    release(slots) {
      free += slots;
      giveSoon();
      if (free < concurrency) return;
      for (const resolve of onAllFree) resolve();
      onAllFree = [];
    },
    inUse: () => concurrency - free,
    allFree: () =>
      new Promise((resolve) => {
        if (free === concurrency) resolve();
        else onAllFree.push(resolve);
      }),
  };
}
