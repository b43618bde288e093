import type { Claim, ClaimScope, ClaimWish } from '../../../src/ledger/send/claim.ts';
import type { Refusal } from '../../../src/ledger/send/refusal.ts';
import { isAffordable } from './budget.ts';
import { doubtMsOf } from './doubt.ts';
import { isExpired, isWindowOpen, openMs, opensInMs } from './window.ts';
import type { Batch, Gateway, ModelLedger, Row } from './state.ts';

export function claim(ledger: ModelLedger, scope: ClaimScope, wishes: readonly ClaimWish[]): Claim[] {
  return wishes.flatMap(({ submissionId, attemptId }) => {
    const row = ledger.rows.get(submissionId);
    if (row === undefined || !isOpen(ledger, scope, row) || wasMade(ledger, attemptId)) return [];
    const batch = ledger.batchOf(row);
    const gateway = ledger.gatewayOf(batch);
    if (!batch.proven || batch.budget !== null || gateway.state !== 'open') return [];
    return [take(ledger, scope, row, attemptId)];
  });
}

export function claimAlone(ledger: ModelLedger, scope: ClaimScope, wish: ClaimWish): Claim | undefined {
  const row = ledger.rows.get(wish.submissionId);
  if (row === undefined || !isOpen(ledger, scope, row) || wasMade(ledger, wish.attemptId)) return undefined;
  if (!isAffordable(ledger, row)) return undefined;
  const batch = ledger.batchOf(row);
  const gateway = ledger.gatewayOf(batch);
  if (!batch.proven && batch.canary !== null) return undefined;
  if (gateway.state === 'halted' || (gateway.state === 'probing' && gateway.probe !== null)) return undefined;
  if (!batch.proven) batch.canary = wish.attemptId;
  if (gateway.state === 'probing') gateway.probe = wish.attemptId;
  return take(ledger, scope, row, wish.attemptId);
}

function wasMade({ attempts, slip }: ModelLedger, attemptId: string): boolean {
  return attempts.has(attemptId) && slip !== 'attempt-made-twice';
}

/** The gates that both kinds of claim have in common. */
function isOpen(ledger: ModelLedger, scope: ClaimScope, row: Row): boolean {
  const batch = ledger.batchOf(row);
  return (
    (row.state === 'pending' ||
      (ledger.slip === 'claim-without-compare' && ['submitting', 'uncertain'].includes(row.state))) &&
    row.notBefore <= ledger.at &&
    batch.origin === scope.origin &&
    batch.state === 'active' &&
    ledger.gatewayOf(batch).throttledUntil <= ledger.at &&
    !ledger.paused &&
    isWindowOpen(ledger, row) &&
    (scope.batches === null || scope.batches.includes(batch.id))
  );
}

function take(ledger: ModelLedger, scope: ClaimScope, row: Row, attemptId: string): Claim {
  const batch = ledger.batchOf(row);
  const gateway = ledger.gatewayOf(batch);
  if (ledger.attempts.has(attemptId)) throw new Error(`attempt_pkey: ${attemptId}`);
  const deadline = ledger.at + scope.lifetimeMs;
  const doubtMs = row.doubtful ? doubtMsOf(ledger, row) : null;
  const change = { attemptId, deadline, attempts: row.attempts + 1 };
  if (ledger.slip === 'claim-without-compare')
    Object.assign(row, change, { state: 'submitting', taskId: null });
  else ledger.move(row, 'submitting', change);
  ledger.attempts.set(attemptId, {
    id: attemptId,
    submissionId: row.id,
    number: row.attempts,
    worker: scope.worker,
    origin: scope.origin,
    epoch: gateway.epoch,
    claimedAt: ledger.at,
    deadline,
    sameKey: doubtMs !== null,
    intendedAt: null,
    sweptAt: null,
    outcome: null,
    phase: null,
    code: null,
    taskId: null,
    surplus: false,
  });
  return answerOf(row, batch, gateway, {
    attemptId,
    number: row.attempts,
    epoch: gateway.epoch,
    doubtMs,
    openMs: openMs(ledger, row),
  });
}

function answerOf(
  row: Row,
  batch: Batch,
  gateway: Gateway,
  attempt: {
    attemptId: string;
    number: number;
    epoch: number;
    doubtMs: number | null;
    openMs: number | null;
  },
): Claim {
  return {
    attemptId: attempt.attemptId,
    submissionId: row.id,
    batch: batch.name,
    key: row.key,
    // As the tables of the comparison have it.
    content: row.key,
    request: row.request,
    number: attempt.number,
    epoch: attempt.epoch,
    spent: row.spent,
    throttleLevel: gateway.throttleLevel,
    refusals: row.refusals,
    ...(attempt.doubtMs === null ? {} : { doubtMs: attempt.doubtMs }),
    ...(attempt.openMs === null ? {} : { openMs: attempt.openMs }),
  };
}

export function granted(ledger: ModelLedger, wishes: readonly ClaimWish[]): Claim[] {
  return wishes.flatMap(({ attemptId }) => {
    const attempt = ledger.attempts.get(attemptId);
    if (attempt === undefined || attempt.outcome !== null) return [];
    const row = ledger.rowOf(attempt);
    if (row.attemptId !== attemptId || row.state !== 'submitting') return [];
    const doubtMs = attempt.sameKey ? doubtMsOf(ledger, row) : null;
    return [
      answerOf(row, ledger.batchOf(row), ledger.gatewayOf(attempt), {
        ...attempt,
        attemptId,
        doubtMs,
        openMs: openMs(ledger, row),
      }),
    ];
  });
}

export function refusals(
  ledger: ModelLedger,
  scope: Pick<ClaimScope, 'origin' | 'batches'>,
  submissionIds: readonly number[],
): Refusal[] {
  return submissionIds.map((submissionId) => {
    const row = ledger.rows.get(submissionId);
    if (row === undefined) return { submissionId, reason: 'unknown' };
    const gateway = ledger.gatewayOf(ledger.batchOf(row));
    const reason = reasonOf(ledger, scope, row, gateway);
    const waits = reason === 'throttled' || reason === 'not-due';
    const dueMs = waits ? Math.max(row.notBefore, gateway.throttledUntil) - ledger.at : null;
    const waitMs = reason === 'window' ? opensInMs(ledger, row) : dueMs;
    return { submissionId, reason, ...(waitMs === null ? {} : { waitMs: Math.max(1, Math.ceil(waitMs)) }) };
  });
}

function reasonOf(
  ledger: ModelLedger,
  scope: Pick<ClaimScope, 'origin' | 'batches'>,
  row: Row,
  gateway: Gateway,
): Refusal['reason'] {
  const batch = ledger.batchOf(row);
  if (row.state !== 'pending') return 'not-pending';
  if (scope.batches !== null && !scope.batches.includes(batch.id)) return 'other-batch';
  if (batch.origin !== scope.origin) return 'other-provider';
  if (batch.state === 'cancelled') return 'cancelled';
  if (ledger.paused || batch.state === 'paused') return 'paused';
  if (batch.state === 'stopped') return 'stopped';
  if (gateway.state === 'halted') return 'halted';
  if (isExpired(ledger, row)) return 'expired';
  if (!isWindowOpen(ledger, row)) return 'window';
  if (!isAffordable(ledger, row)) return 'budget';
  if (gateway.throttledUntil > ledger.at) return 'throttled';
  return row.notBefore > ledger.at ? 'not-due' : 'alone';
}
