import { AVALANCHE } from '../../../src/ledger/send/avalanche.ts';
import type { Recorded, Result } from '../../../src/ledger/send/result.ts';
import { FEWEST_OUTCOMES } from '../../../src/ledger/send/trial.ts';
import { isUnreached } from '../../../src/core/reach.ts';
import type { State } from '../../../src/core/submission.ts';
import { guard } from './avalanche.ts';
import { unknownOf } from './doubt.ts';
import type { Attempt, ModelLedger, Row } from './state.ts';

/** An answer, and what it means for its row. */
export interface Judged {
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
