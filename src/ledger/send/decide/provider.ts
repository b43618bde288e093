import { isReached, isUnreached, type OutcomeKind } from '../../../core/outcome.ts';
import type { ProviderFacts } from './facts.ts';
import { AVALANCHE } from './limits.ts';
import type { Decided } from './row.ts';

/** What a provider is from now on. */
export type ProviderChange = Omit<ProviderFacts, 'locked' | 'epoch' | 'everThere' | 'liftedAt'> & {
  /** The halt to raise. If one is open already, it gets this reason. */
  halt?: Halt;
};

interface Halt {
  code: string;
  reason: string;
  httpStatus: number | undefined;
  attemptId: string;
}

/** What a group of answers says about its provider. */
interface Signs {
  accepted: number;
  /** An attempt of the provider's present epoch was accepted. */
  acceptedNow: boolean;
  uncertain: number;
  unreached: number;
  /** The provider was reached, and gave any answer. */
  reached: boolean;
  throttled: readonly Decided[];
  halting: boolean;
  /** Tries in a row that did not reach the provider, counted from the limit on; undefined: the limit is not reached. */
  beyond: number | undefined;
  /** The provider was never reached, or not for too long a time. */
  givenUp: boolean;
}

interface Breaker {
  trips: (provider: ProviderFacts, signs: Signs, now: number) => boolean;
  /** The answers that show why. */
  shows: (one: Decided) => boolean;
  code: (one: Decided) => string;
  reason: (message: string | undefined, provider: ProviderFacts, signs: Signs) => string;
}

const REFUSED: Breaker = {
  trips: (_provider, { halting }) => halting,
  shows: ({ halting }) => halting,
  code: ({ result }) => result.outcome.evidence.code ?? 'HALTED',
  reason: (message) => message ?? 'the provider refuses every row',
};

/** What halts a provider, the first reason first. */
const BREAKERS: readonly Breaker[] = [
  REFUSED,
  {
    trips: (_provider, { givenUp }) => givenUp,
    shows: ({ result }) => isUnreached(result.outcome),
    code: () => 'NOBODY_ANSWERS',
    reason: (message = '', { origin, unreachedStreak }, { unreached }) =>
      `no answer from ${origin}: ${unreachedStreak + unreached} tries in a row did not reach it, the last: ${message}`,
  },
  {
    trips: ({ throttledSince }, { accepted, throttled }, now) =>
      accepted === 0 &&
      throttled.length > 0 &&
      throttledSince !== null &&
      throttledSince < now - AVALANCHE.throttledMs,
    shows: ({ result }) => result.outcome.kind === 'throttled',
    code: () => 'THROTTLED_TOO_LONG',
    reason: (message = '') => `throttled for over 15 minutes without one accept: ${message}`,
  },
  {
    trips: ({ uncertainStreak }, { accepted, uncertain }) =>
      accepted === 0 && uncertain > 0 && uncertainStreak + uncertain >= AVALANCHE.uncertainInARow,
    shows: ({ result }) => result.outcome.kind === 'uncertain',
    code: () => 'UNCERTAIN_IN_A_ROW',
    reason: (message = '') =>
      `${AVALANCHE.uncertainInARow} answers in a row that cannot be judged, the last: ${message}`,
  },
];

/** What a group of answers means for their provider; undefined: nothing. */
export function decideProvider(
  provider: ProviderFacts,
  group: readonly Decided[],
  now: number,
): ProviderChange | undefined {
  const signs = signsOf(provider, group, now);
  const isProbe = group.some(({ attempt }) => attempt.id === provider.probe);
  if (!provider.locked || !(isProbe || isNews(provider, signs))) return undefined;

  const tripped = BREAKERS.filter(({ trips }) => trips(provider, signs, now));
  // A refusal of every row does not end a streak.
  const isOver = tripped.some((breaker) => breaker !== REFUSED);
  const { accepted, throttled, reached, unreached, beyond } = signs;
  const raisesLevel =
    accepted === 0 && throttled.some(({ attempt }) => attempt.claimedAt >= provider.throttleRaised);
  const tryAt =
    beyond !== undefined && !isOver ? now + Math.min(60, 2 ** Math.min(beyond, 6)) * 1000 : -Infinity;
  const throttledSince = throttled.length > 0 ? (provider.throttledSince ?? now) : provider.throttledSince;
  const unreachedSince = unreached > 0 ? (provider.unreachedSince ?? now) : provider.unreachedSince;
  return {
    origin: provider.origin,
    state: stateOf(provider, signs, tripped.length > 0),
    probe: isProbe ? null : provider.probe,
    throttledUntil: Math.max(
      provider.throttledUntil,
      tryAt,
      ...throttled.map(({ result }) => now + result.waitMs),
    ),
    throttledSince: accepted > 0 || isOver ? null : throttledSince,
    throttleLevel: accepted > 0 ? 0 : provider.throttleLevel + (raisesLevel ? 1 : 0),
    throttleRaised: raisesLevel ? now : provider.throttleRaised,
    uncertainStreak: accepted > 0 || isOver ? 0 : provider.uncertainStreak + signs.uncertain,
    unreachedStreak: reached ? 0 : provider.unreachedStreak + unreached,
    unreachedSince: reached ? null : unreachedSince,
    ...(tripped[0] === undefined ? {} : { halt: haltOf(tripped[0], provider, signs, group) }),
  };
}

function signsOf(provider: ProviderFacts, group: readonly Decided[], now: number): Signs {
  const of = (kind: OutcomeKind): Decided[] => group.filter(({ result }) => result.outcome.kind === kind);
  const isCurrent = ({ attempt }: Decided): boolean => attempt.epoch === provider.epoch;
  const unreached = group.filter((one) => isUnreached(one.result.outcome) && isCurrent(one)).length;
  const reached = group.some(({ result }) => isReached(result.outcome));
  const over = provider.unreachedStreak + unreached - AVALANCHE.unreachedInARow;
  const beyond = unreached > 0 && !reached && over >= 0 ? over : undefined;
  const { unreachedSince, everThere } = provider;
  const forLong = unreachedSince !== null && unreachedSince < now - AVALANCHE.unreachedMs;
  return {
    accepted: of('accepted').length,
    acceptedNow: of('accepted').some(isCurrent),
    uncertain: of('uncertain').filter(isCurrent).length,
    unreached,
    reached,
    throttled: of('throttled'),
    halting: group.some(({ halting }) => halting),
    beyond,
    // A provider that has accepted rows before may come back.
    givenUp: beyond !== undefined && (forLong || !everThere),
  };
}

/** Whether the answers can change the provider: those that leave a calm provider calm cannot. */
function isNews(provider: ProviderFacts, signs: Signs): boolean {
  const { accepted, uncertain, unreached, reached, throttled, halting } = signs;
  return (
    halting ||
    uncertain > 0 ||
    throttled.length > 0 ||
    unreached > 0 ||
    (reached && provider.unreachedStreak > 0) ||
    (accepted > 0 &&
      (provider.throttleLevel > 0 ||
        provider.uncertainStreak > 0 ||
        provider.throttledSince !== null ||
        provider.state === 'probing'))
  );
}

function stateOf({ state }: ProviderFacts, signs: Signs, isTripped: boolean): ProviderFacts['state'] {
  if (isTripped) return 'halted';
  if (state === 'probing' && signs.acceptedNow) return 'open';
  return state === 'open' && signs.beyond !== undefined ? 'probing' : state;
}

function haltOf(breaker: Breaker, provider: ProviderFacts, signs: Signs, group: readonly Decided[]): Halt {
  const shown = group.find((one) => breaker.shows(one));
  if (shown === undefined) throw new Error(`a halt of ${provider.origin} without an answer that shows why`);
  const { evidence } = shown.result.outcome;
  return {
    code: breaker.code(shown),
    reason: breaker.reason(evidence.message, provider, signs),
    httpStatus: evidence.httpStatus,
    attemptId: shown.attempt.id,
  };
}
