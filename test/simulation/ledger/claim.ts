import {
  blockedBy,
  type Blocked,
  type readBlocked as realBlocked,
} from '../../../src/ledger/send/blocked.ts';
import type { Claim, ClaimScope, Place, Wish } from '../../../src/ledger/send/claim.ts';
import { held, heldOf, isAffordable } from './budget.ts';
import { doubtMsOf, PROFILE } from './doubt.ts';
import { isExpired, isWindowOpen } from './window.ts';
import type { Batch, Gateway, ModelLedger, Row } from './state.ts';

type Scope = Pick<ClaimScope, 'origin' | 'batches'>;

export function claim(ledger: ModelLedger, scope: ClaimScope, wish: Wish): Claim[] {
  const batch = openBatch(ledger, scope, wish);
  if (batch === undefined || !batch.proven || batch.budget !== null) return [];
  if (ledger.gatewayOf(batch).state !== 'open') return [];
  const ids = unused(ledger, wish);
  const due = inOrder(dueRows(ledger, batch));
  const oneModel = new Set(due.map(({ offPeak }) => offPeak)).size === 1;
  const places = new Map(due.map((row) => [row.id, placeOf(row)]));
  return take(ledger, scope, due.slice(0, ids.length), ids).map((one) => ({
    ...one,
    ...(oneModel ? { place: places.get(one.submissionId) } : {}),
  })) as Claim[];
}

/** Rows after that place; it is told to be of the only model that has due rows. */
export function claimAfter(ledger: ModelLedger, scope: ClaimScope, wish: Wish, after: Place): Claim[] {
  const batch = openBatch(ledger, scope, wish);
  if (batch === undefined || !batch.proven || batch.budget !== null) return [];
  if (ledger.gatewayOf(batch).state !== 'open') return [];
  const due = inOrder(dueRows(ledger, batch)).filter((row) => {
    const at = after.notBefore === '-infinity' ? -Infinity : Date.parse(after.notBefore);
    return (
      modelOf(row) === after.model &&
      (row.notBefore > at || (row.notBefore === at && row.id > after.submissionId))
    );
  });
  const places = new Map(due.map((row) => [row.id, placeOf(row)]));
  return take(ledger, scope, due.slice(0, wish.attemptIds.length), wish.attemptIds).map((one) => ({
    ...one,
    place: places.get(one.submissionId),
  })) as Claim[];
}

export function placeOf(row: Row): Place {
  const { id, notBefore } = row;
  return {
    model: modelOf(row),
    priority: 0,
    notBefore: Number.isFinite(notBefore) ? new Date(notBefore).toISOString() : '-infinity',
    submissionId: id,
  };
}

function modelOf({ offPeak }: Row): string {
  return offPeak ? 'x-offpeak' : 'x';
}

export function claimLocked(
  ledger: ModelLedger,
  scope: ClaimScope,
  wish: Wish,
): { claims: Claim[]; lockNeeded: boolean } {
  const batch = openBatch(ledger, scope, wish);
  if (batch === undefined) return { claims: [], lockNeeded: true };
  const gateway = ledger.gatewayOf(batch);
  const probing = gateway.state === 'probing';
  const ids = unused(ledger, wish);
  const most = batch.proven && !probing ? ids.length : Math.min(1, ids.length);
  const due = dueRows(ledger, batch).filter((row) => isAffordable(ledger, row));
  // A halt is tried with a row that has not run into it, if one may be sent.
  const unhalted = due.filter(({ haltedAt }) => haltedAt === null);
  const rows = probing && unhalted.length > 0 ? unhalted : due;
  const chosen = affordable(ledger, batch, inOrder(firstOfEachModel(rows, most))).slice(0, most);
  const claims = take(ledger, scope, chosen, ids);
  const [first] = claims;
  if (first === undefined) return { claims, lockNeeded: true };
  const lockNeeded = !batch.proven || probing || batch.budget !== null;
  if (!batch.proven) batch.canary = first.attemptId;
  if (probing) gateway.probe = first.attemptId;
  return { claims, lockNeeded };
}

/** The batch, if nothing keeps its rows from being sent. */
function openBatch(ledger: ModelLedger, { origin, batches }: Scope, { batchId }: Wish): Batch | undefined {
  const batch = ledger.batches.get(batchId);
  if (batch === undefined || batch.origin !== origin) return undefined;
  if (batches !== null && !batches.includes(batchId)) return undefined;
  return gateOf(ledger, batch, false) === null ? batch : undefined;
}

/** Ids of which no attempt was made. */
function unused({ attempts, slip }: ModelLedger, { attemptIds }: Wish): string[] {
  return attemptIds.filter((id) => !attempts.has(id) || slip === 'attempt-made-twice');
}

function rowsOf(ledger: ModelLedger, { id }: Pick<Batch, 'id'>): Row[] {
  return [...ledger.rows.values()].filter(({ batchId }) => batchId === id);
}

function dueRows(ledger: ModelLedger, batch: Batch): Row[] {
  return rowsOf(ledger, batch).filter(
    (row) =>
      (row.state === 'pending' ||
        (ledger.slip === 'claim-without-compare' && ['submitting', 'uncertain'].includes(row.state))) &&
      row.notBefore <= ledger.at &&
      gateOf(ledger, batch, row.offPeak) === null,
  );
}

/** The one that was due first is the first. All rows have the same priority. */
function inOrder(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => (a.notBefore === b.notBefore ? a.id - b.id : a.notBefore - b.notBefore));
}

/** Rows are looked for by model. There are two: the one that is cheaper off-peak, and the other one. */
function firstOfEachModel(rows: readonly Row[], most: number): Row[] {
  return [true, false].flatMap((offPeak) =>
    inOrder(rows.filter((row) => row.offPeak === offPeak)).slice(0, most),
  );
}

/** Those that the budget pays for together. */
function affordable(ledger: ModelLedger, batch: Batch, rows: readonly Row[]): Row[] {
  if (batch.budget === null || ledger.slip === 'claim-over-the-budget') return [...rows];
  let money = batch.budget - (held(ledger, batch) ?? 0);
  return rows.filter((row) => (money -= (row.price ?? 0) - heldOf(row)) >= 0);
}

/** What keeps rows of a batch from being sent: those of the model that is cheaper off-peak, or the others. */
function gateOf(ledger: ModelLedger, batch: Batch, offPeak: boolean): Blocked['reason'] | null {
  const gateway = ledger.gatewayOf(batch);
  if (batch.state === 'cancelled') return 'cancelled';
  if (ledger.paused || batch.state === 'paused') return 'paused';
  if (batch.state === 'stopped') return 'stopped';
  if (gateway.state === 'halted') return 'halted';
  if (isExpired(ledger, batch)) return 'expired';
  if (!isWindowOpen(ledger, batch, offPeak)) return 'window';
  const pending = rowsOf(ledger, batch).filter(({ state }) => state === 'pending');
  if (batch.budget !== null && !pending.some((row) => isAffordable(ledger, row))) return 'budget';
  if (gateway.throttledUntil > ledger.at) return 'throttled';
  const isTried = gateway.state === 'probing' && gateway.probe !== null;
  return isTried || (!batch.proven && batch.canary !== null) ? 'alone' : null;
}

function take(ledger: ModelLedger, scope: ClaimScope, rows: readonly Row[], ids: readonly string[]): Claim[] {
  return rows.flatMap((row, n) => {
    const attemptId = ids[n];
    return attemptId === undefined ? [] : [takeOne(ledger, scope, row, attemptId)];
  });
}

function takeOne(ledger: ModelLedger, scope: ClaimScope, row: Row, attemptId: string): Claim {
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
    contentHash: row.contentHash,
    claimedAt: ledger.at,
    deadline,
    sameKey: doubtMs !== null,
    profileId: PROFILE,
    refusals: row.refusals,
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
  },
): Claim {
  return {
    attemptId: attempt.attemptId,
    submissionId: row.id,
    batch: batch.name,
    key: row.key,
    content: row.contentHash,
    request: row.request,
    number: attempt.number,
    epoch: attempt.epoch,
    spent: row.spent,
    throttleLevel: gateway.throttleLevel,
    refusals: row.refusals,
    profileId: PROFILE,
    ...(attempt.doubtMs === null ? {} : { doubtMs: attempt.doubtMs }),
  };
}

export function granted(ledger: ModelLedger, attemptIds: readonly string[]): Claim[] {
  return attemptIds.flatMap((attemptId) => {
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
      }),
    ];
  });
}

export function readBlocked(
  ledger: ModelLedger,
  { origin, batches }: Scope,
  batchId: number,
): Awaited<ReturnType<typeof realBlocked>> {
  const batch = ledger.batches.get(batchId);
  if (batch === undefined) return { blocked: { reason: 'unknown' }, lockNeeded: false };
  const { state, throttledUntil } = ledger.gatewayOf(batch);
  const lockNeeded = !batch.proven || batch.budget !== null || state !== 'open';
  if (batches !== null && !batches.includes(batchId))
    return { blocked: { reason: 'other-batch' }, lockNeeded };
  if (batch.origin !== origin) return { blocked: { reason: 'other-provider' }, lockNeeded };
  const pending = rowsOf(ledger, batch).filter((row) => row.state === 'pending');
  const facts = {
    gate: gateOf(ledger, batch, false),
    throttledMs: Math.max(0, throttledUntil - ledger.at),
    groups: [true, false].flatMap((offPeak) => {
      const [first] = inOrder(pending.filter((row) => row.offPeak === offPeak));
      if (first === undefined) return [];
      const dueMs = Number.isFinite(first.notBefore) ? first.notBefore - ledger.at : 0;
      return [{ dueMs, gate: gateOf(ledger, batch, offPeak), aheadMs: null, full: false }];
    }),
  };
  return { blocked: blockedBy(facts, []), lockNeeded };
}
