import { AVALANCHE } from '../../../src/ledger/send/avalanche.ts';
import { isReached, isUnreached } from '../../../src/core/reach.ts';
import type { Judged } from './record.ts';
import type { Gateway, ModelLedger } from './state.ts';

/** What a group of answers means for the provider as a whole. True when it is halted now. */
export function guard(
  ledger: ModelLedger,
  gateway: Gateway,
  group: readonly Judged[],
  everThere: boolean,
): boolean {
  const of = (kind: string): Judged[] => group.filter(({ result }) => result.outcome.kind === kind);
  const accepted = of('accepted').length;
  const current = ({ attempt, gatewayEpoch }: Judged): boolean => attempt.epoch === gatewayEpoch;
  const acceptedNow = of('accepted').some(current);
  const uncertain = of('uncertain').filter(current).length;
  const halting = group.some((one) => one.halting);
  const throttled = of('throttled');
  const isProbe = group.some(({ attempt }) => attempt.id === gateway.probe);
  const reached = group.some(({ result }) => isReached(result.outcome));
  const unreached = group.filter((one) => isUnreached(one.result.outcome) && current(one)).length;
  const shaken =
    gateway.throttleLevel > 0 ||
    gateway.uncertainStreak > 0 ||
    gateway.throttledSince !== null ||
    gateway.state === 'probing';
  const knocked = unreached > 0 || (reached && gateway.unreachedStreak > 0);
  if (
    !halting &&
    uncertain === 0 &&
    throttled.length === 0 &&
    !isProbe &&
    !knocked &&
    !(accepted > 0 && shaken)
  )
    return false;

  const { at } = ledger;
  const throttledTooLong =
    throttled.length > 0 &&
    gateway.throttledSince !== null &&
    gateway.throttledSince < at - AVALANCHE.throttledMs;
  const beyond = gateway.unreachedStreak + unreached - AVALANCHE.unreachedInARow;
  const nobody = unreached > 0 && !reached && beyond >= 0;
  const forLong = gateway.unreachedSince !== null && gateway.unreachedSince < at - AVALANCHE.unreachedMs;
  const hopeless = nobody && (forLong || !everThere);
  const raised =
    hopeless ||
    (accepted === 0 &&
      ((uncertain > 0 && gateway.uncertainStreak + uncertain >= AVALANCHE.uncertainInARow) ||
        throttledTooLong));
  const claimed = Math.max(Number.NEGATIVE_INFINITY, ...throttled.map(({ attempt }) => attempt.claimedAt));
  const raisesLevel = throttled.length > 0 && claimed >= gateway.throttleRaised;
  if (halting || raised) gateway.state = 'halted';
  else if (gateway.state === 'probing' && acceptedNow) gateway.state = 'open';
  else if (gateway.state === 'open' && nobody) gateway.state = 'probing';
  if (isProbe) gateway.probe = null;
  gateway.throttledUntil = Math.max(
    gateway.throttledUntil,
    ...throttled.map(({ result }) => at + result.waitMs),
    ...(nobody && !raised ? [at + Math.min(60, 2 ** Math.min(beyond, 6)) * 1000] : []),
  );
  if (accepted > 0 || raised) gateway.throttledSince = null;
  else if (throttled.length > 0) gateway.throttledSince ??= at;
  if (accepted > 0) gateway.throttleLevel = 0;
  else if (raisesLevel) {
    gateway.throttleLevel += 1;
    gateway.throttleRaised = at;
  }
  gateway.uncertainStreak = accepted > 0 || raised ? 0 : gateway.uncertainStreak + uncertain;
  gateway.unreachedStreak = reached ? 0 : gateway.unreachedStreak + unreached;
  if (reached) gateway.unreachedSince = null;
  else if (unreached > 0) gateway.unreachedSince ??= at;
  raiseOrLift(ledger, gateway, halting || raised);
  return gateway.state === 'halted';
}

function raiseOrLift(ledger: ModelLedger, { origin, state }: Gateway, raise: boolean): void {
  const open = ledger.halts.find((halt) => halt.origin === origin && halt.liftedAt === null);
  if (raise && open === undefined) ledger.halts.push({ origin, liftedAt: null });
  if (open !== undefined && state === 'open') open.liftedAt = ledger.at;
}
