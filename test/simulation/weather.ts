import type { Random } from './random.ts';

/** How things go wrong in one run. Every seed has a weather of its own, so that rare storms come undiluted. */
export interface Weather {
  ledgerAway: boolean;
  /** Chances, each of one statement. */
  lostStatements: number;
  unansweredStatements: number;
  /** Committed some time after its client gave up. */
  hauntingStatements: number;
  /** Chance of a write or flush of a journal to fail. */
  diskFaults: number;
  /** Weights of what becomes of a POST. */
  posts: Record<Fate, number>;
  /** The provider honours idempotency keys. */
  idempotent: boolean;
}

/** What becomes of a POST, as nobody but the provider can know. */
export type Fate =
  | 'accepted'
  | 'accepted-unanswered'
  | 'accepted-after-timeout'
  | 'lost'
  | 'unreachable'
  | 'rejected'
  | 'throttled'
  | 'not-accepted'
  | 'halted';

export const FAIR: Weather = {
  ledgerAway: false,
  lostStatements: 0,
  unansweredStatements: 0,
  hauntingStatements: 0,
  diskFaults: 0,
  posts: {
    accepted: 1,
    'accepted-unanswered': 0,
    'accepted-after-timeout': 0,
    lost: 0,
    unreachable: 0,
    rejected: 0,
    throttled: 0,
    'not-accepted': 0,
    halted: 0,
  },
  idempotent: false,
};

export function weatherOf(random: Random): Weather {
  const rate = (most: number): number => (random.chance(0.5) ? 0 : random.next() * most);
  return {
    ledgerAway: false,
    lostStatements: rate(0.2),
    unansweredStatements: rate(0.3),
    hauntingStatements: random.chance(0.8) ? 0 : 0.1,
    diskFaults: random.chance(0.7) ? 0 : 0.05,
    posts: {
      accepted: 1 + random.next() * 4,
      'accepted-unanswered': rate(2),
      'accepted-after-timeout': rate(2),
      lost: rate(1),
      unreachable: rate(2),
      rejected: rate(1),
      throttled: rate(1),
      'not-accepted': rate(1),
      halted: rate(0.5),
    },
    idempotent: random.chance(0.1),
  };
}
