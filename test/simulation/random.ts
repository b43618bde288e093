/** A source of chance that a seed decides wholly: the same seed, the same run. */
export interface Random {
  /** [0, 1). */
  next(): number;
  /** 0 … n - 1. */
  below(n: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** Has the form of one; different each time. */
  uuid(): string;
}

/** mulberry32: 32 bits of state are enough for runs of a few hundred steps. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  let uuids = 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  const below = (n: number): number => Math.floor(next() * n);
  // Neighbouring seeds begin alike; after a few draws they do not.
  for (let draws = 0; draws < 4; draws += 1) next();
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick(items) {
      if (items.length === 0) throw new Error('nothing to pick from');
      return items[below(items.length)] as (typeof items)[number];
    },
    uuid: () => `00000000-0000-4000-8000-${(uuids += 1).toString(16).padStart(12, '0')}`,
  };
}
