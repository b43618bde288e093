import { AVALANCHE } from '../../../src/ledger/avalanche.ts';
import type { Recorded, Result } from '../../../src/ledger/result.ts';
import { FEWEST_OUTCOMES } from '../../../src/ledger/trial.ts';
import { isReached, isUnreached } from '../../../src/provider/reach.ts';
import type { State } from '../../../src/submission.ts';
import { unknownOf } from './doubt.ts';
import type { Attempt, Gateway, ModelLedger, Row } from './state.ts';

interface Judged {
  result: Result;
  attempt: Attempt;
  row: Row;
  /** As they stood when the statement began. */
  state: State;
  gatewayEpoch: number;
  next: State;
  surplus: boolean;
  /** Its task id is another attempt's already. */
  known: boolean;
  decides: boolean;
  halting: boolean;
  hopeless: boolean;
  /** Another attempt of the row, which may have been accepted. */
  doubt: Attempt | undefined;
  /** What the answer takes of the row's attempts. */
  cost: number;
}

export function record(ledger: ModelLedger, results: readonly Result[]): Recorded[] {
  const judged = judge(ledger, results);
  const proven = new Set(
    [...ledger.batches.values()].filter((one) => one.proven).map(({ origin }) => origin),
  );
  for (const one of judged) {
    settle(one);
    if (one.decides) moveRow(ledger, one);
  }
  weigh(ledger, judged);
  const halted = new Set<string>();
  for (const [origin, group] of Map.groupBy(judged, ({ attempt }) => attempt.origin)) {
    if (guard(ledger, ledger.gatewayOf({ origin }), group, proven.has(origin))) halted.add(origin);
  }
  return judged.map((one) => ({
    attemptId: one.attempt.id,
    state: one.next,
    moved: one.decides && one.next !== one.state,
    surplus: one.surplus,
    known: one.known,
    halted: halted.has(one.attempt.origin),
  }));
}

function judge(ledger: ModelLedger, results: readonly Result[]): Judged[] {
  const known = [...new Map(results.map((result) => [result.attemptId, result])).values()].flatMap(
    (result) => {
      const attempt = ledger.attempts.get(result.attemptId);
      if (attempt === undefined || attempt.outcome !== null) return [];
      return [{ result, attempt, row: ledger.rowOf(attempt) }];
    },
  );
  const accepted = known
    .filter(({ result }) => result.outcome.kind === 'accepted')
    .sort((a, b) => a.attempt.number - b.attempt.number);
  return known.map(({ result, attempt, row }) => {
    const { kind } = result.outcome;
    const gateway = ledger.gatewayOf(attempt);
    const { haltedAt, state } = row;
    const hopeless =
      kind === 'halted' &&
      haltedAt !== null &&
      ledger.halts.some(
        (halt) => halt.origin === attempt.origin && halt.liftedAt !== null && halt.liftedAt > haltedAt,
      );
    const first = accepted.find((one) => one.row === row);
    const latest = ledger.slip === 'record-by-row' || row.attemptId === attempt.id;
    const open = latest && (state === 'submitting' || (state === 'uncertain' && mayBeLate(ledger)));
    const isFirst = first?.attempt === attempt;
    const doubt = row.doubtful
      ? unknownOf(ledger, row).find(
          (one) =>
            one !== attempt &&
            !known.some((other) => other.attempt === one && other.result.outcome.kind !== 'uncertain'),
        )
      : undefined;
    const inDoubt = kind === 'uncertain' || (kind === 'throttled' && doubt !== undefined);
    const blameless = isUnreached(result.outcome) && gateway.unreachedStreak >= AVALANCHE.unreachedInARow;
    const cost = (kind === 'not-sent' && !blameless) || (result.sameKey !== undefined && inDoubt) ? 1 : 0;
    const common = { result, attempt, row, state, gatewayEpoch: gateway.epoch, hopeless, doubt, cost };
    return {
      ...common,
      next:
        first !== undefined && mayBeSubmitted(ledger, state)
          ? 'submitted'
          : open
            ? nextOf(ledger, common)
            : state,
      surplus: isSurplus({ result, row }, accepted) && !isKnown(ledger, { result, attempt, row }, accepted),
      known: isKnown(ledger, { result, attempt, row }, accepted),
      decides: first === undefined ? open : isFirst && state !== 'submitted' && mayBeSubmitted(ledger, state),
      halting: kind === 'halted' && attempt.epoch === gateway.epoch && !hopeless,
    };
  });
}

function mayBeLate({ slip }: ModelLedger): boolean {
  return slip !== 'record-drops-late-answers';
}

function mayBeSubmitted(ledger: ModelLedger, state: State): boolean {
  return mayBeLate(ledger) || state === 'submitting' || state === 'submitted';
}

function nextOf(
  ledger: ModelLedger,
  { result, row, hopeless, doubt, cost }: Pick<Judged, 'result' | 'row' | 'hopeless' | 'doubt' | 'cost'>,
): State {
  const { kind } = result.outcome;
  const cancelled = ledger.batchOf(row).state === 'cancelled';
  if (kind === 'uncertain' && ledger.slip === 'uncertain-is-sent-again') return 'pending';
  if (kind === 'uncertain' || doubt !== undefined) {
    const leave = result.sameKey !== undefined && kind !== 'rejected' && !hopeless && !cancelled;
    return leave && row.spent + cost < result.maxAttempts ? 'pending' : 'uncertain';
  }
  if (kind === 'rejected' || hopeless) return 'rejected';
  if (kind === 'not-sent' && cost > 0 && row.spent + cost >= result.maxAttempts) return 'exhausted';
  return cancelled ? 'cancelled' : 'pending';
}

/** A second task of a row. */
function isSurplus(
  { result, row }: Pick<Judged, 'result' | 'row'>,
  accepted: readonly Pick<Judged, 'result' | 'row'>[],
): boolean {
  const taskId = taskIdOf(result);
  if (taskId === null) return false;
  const first = accepted.find((one) => one.row === row);
  return taskId !== (row.taskId ?? (first && taskIdOf(first.result)));
}

/** An id that comes twice is one task. */
function isKnown(
  ledger: ModelLedger,
  { result, attempt, row }: Pick<Judged, 'result' | 'attempt' | 'row'>,
  accepted: readonly Pick<Judged, 'result' | 'attempt' | 'row'>[],
): boolean {
  const taskId = taskIdOf(result);
  if (taskId === null) return false;
  const before = accepted.filter((one) => one.row === row && one.attempt.number < attempt.number);
  return (
    before.some((one) => taskIdOf(one.result) === taskId) ||
    [...ledger.attempts.values()].some((one) => one.submissionId === row.id && one.taskId === taskId)
  );
}

function taskIdOf({ outcome }: Result): string | null {
  return outcome.kind === 'accepted' ? outcome.taskId : null;
}

function settle({ attempt, result, surplus }: Judged): void {
  const { outcome } = result;
  attempt.outcome = outcome.kind;
  attempt.phase = outcome.evidence.phase;
  attempt.code = outcome.evidence.code ?? null;
  attempt.taskId = outcome.kind === 'accepted' ? outcome.taskId : null;
  attempt.surplus = surplus;
}

function moveRow(ledger: ModelLedger, { row, next, result, doubt, cost }: Judged): void {
  const { outcome, waitMs } = result;
  const { kind } = outcome;
  const waits = next === 'pending' && ['throttled', 'not-sent', 'uncertain'].includes(kind);
  ledger.move(row, next, {
    taskId:
      next === 'submitted' ? (row.taskId ?? (outcome.kind === 'accepted' ? outcome.taskId : null)) : null,
    spent: row.spent + cost,
    refusals: row.refusals + (kind === 'accepted' || kind === 'uncertain' || doubt !== undefined ? 0 : 1),
    doubtful:
      (next === 'pending' && (kind === 'uncertain' || doubt !== undefined)) ||
      (next === 'uncertain' && doubt !== undefined),
    attemptId: next === 'uncertain' && kind !== 'uncertain' ? (doubt?.id ?? null) : row.attemptId,
    haltedAt: kind === 'halted' ? (row.haltedAt ?? ledger.at) : row.haltedAt,
    notBefore: waits ? ledger.at + waitMs : row.notBefore,
    deadline: null,
  });
}

/** What a group of answers means for their batches: whether they are proven, and whether they are wrong as a whole. */
function weigh(ledger: ModelLedger, judged: readonly Judged[]): void {
  for (const [batch, group] of Map.groupBy(judged, ({ row }) => ledger.batchOf(row))) {
    if (batch.proven && batch.failShare === null) continue;
    const counted = group.filter(
      ({ decides, next, state, attempt }) => decides && next !== state && attempt.claimedAt >= batch.trialAt,
    );
    const good = counted.filter(({ next }) => next === 'submitted').length;
    const bad = counted.filter(({ next }) => next === 'rejected' || next === 'exhausted').length;
    const accepted = group.some(({ result }) => result.outcome.kind === 'accepted');
    const proven = batch.proven || (batch.canaryRows === null ? accepted : good >= batch.canaries);
    const failed = batch.failed + bad;
    const outcomes = batch.succeeded + good + failed;
    let stop: string | undefined;
    if (batch.state === 'active' || batch.state === 'paused') {
      if (batch.canaryRows !== null && !batch.proven && bad > 0) stop = 'CANARY_FAILED';
      else if (
        batch.failShare !== null &&
        outcomes >= FEWEST_OUTCOMES &&
        failed >= batch.failShare * outcomes
      )
        stop = 'TOO_MANY_FAILED';
    }
    if (stop !== undefined) Object.assign(batch, { state: 'stopped', stopCode: stop });
    if (proven || group.some(({ attempt }) => attempt.id === batch.canary)) batch.canary = null;
    const canaries = Math.max(0, batch.canaries - good);
    Object.assign(batch, { proven, canaries, failed, succeeded: batch.succeeded + good });
  }
}

/** What a group of answers means for the provider as a whole. True when it is halted now. */
function guard(ledger: ModelLedger, gateway: Gateway, group: readonly Judged[], everThere: boolean): boolean {
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

export function recordedBefore(ledger: ModelLedger, attemptIds: readonly string[]): Recorded[] {
  return attemptIds.flatMap((attemptId) => {
    const attempt = ledger.attempts.get(attemptId);
    if (attempt === undefined) return [];
    return [
      {
        attemptId,
        state: ledger.rowOf(attempt).state,
        moved: false,
        surplus: attempt.surplus,
        known: false,
        halted: ledger.gatewayOf(attempt).state === 'halted',
      },
    ];
  });
}
