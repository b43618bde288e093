import { randomOf } from '../simulation/random.ts';
import { planOf, STORAGES, type Plan, type Size, type Storage } from './plan.ts';
import { add, noTotals, type Totals } from './report.ts';
import { playRound, type RoundResult } from './round.ts';
import { openServices } from './services.ts';

export interface SoakOptions {
  seed: number;
  /** The first round; 0. */
  from?: number;
  /** Ends after so many rounds, minutes, or kills and rows; whichever comes first. */
  rounds: number;
  minutes: number;
  kills: number;
  rows: number;
  storage: Storage | 'all';
  /** Of one round; embedded ones are smaller. */
  size: Size;
  onRound?: (result: RoundResult) => void;
  /** A round that broke off: that is a violation, too. */
  onBroken?: (round: number, error: unknown) => void;
}

/** Mostly what runs in production; drawn by seed and round alone, so that a round can be played again by itself. */
function storageOf(seed: number, round: number): Storage {
  const drawn = randomOf(seed * 31 + round).next();
  if (drawn < 0.75) return 'redis+postgres';
  if (drawn < 0.92) return 'postgres';
  return drawn < 0.96 ? 'embedded' : 'redis+embedded';
}

export function choose(options: Pick<SoakOptions, 'seed' | 'storage' | 'size'>, round: number): Plan {
  const { seed, storage: wanted, size } = options;
  const storage = wanted === 'all' ? storageOf(seed, round) : wanted;
  // Each command opens the database anew, which takes seconds: fewer rows and kills in the same time.
  const share = storage.endsWith('embedded') ? 0.15 : 1;
  return planOf(seed, round, storage, {
    rows: Math.ceil(size.rows * share),
    kills: Math.ceil(size.kills * share),
  });
}

export async function soak(options: SoakOptions): Promise<Totals> {
  const totals = noTotals();
  const services = await openServices();
  const end = performance.now() + options.minutes * 60_000;
  const { from = 0 } = options;
  try {
    for (let round = from; round < from + options.rounds && performance.now() < end; round += 1) {
      if (totals.kills >= options.kills && totals.rows >= options.rows) break;
      try {
        const result = await playRound({ plan: choose(options, round), services });
        add(totals, result);
        options.onRound?.(result);
      } catch (error) {
        totals.violations += 1;
        options.onBroken?.(round, error);
      }
    }
  } finally {
    await services.close();
  }
  return totals;
}

export function isStorage(text: string): text is Storage | 'all' {
  return text === 'all' || (STORAGES as readonly string[]).includes(text);
}
