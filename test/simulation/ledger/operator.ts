import { callOff, unknownOf } from './doubt.ts';
import type { ModelLedger } from './state.ts';

export function armProbe(ledger: ModelLedger, origin: string): boolean {
  const gateway = ledger.gateways.get(origin);
  if (gateway?.state !== 'halted') return false;
  Object.assign(gateway, {
    state: 'probing',
    epoch: gateway.epoch + 1,
    probe: null,
    uncertainStreak: 0,
    throttledSince: null,
    unreachedSince: null,
  });
  return true;
}

export function pause(ledger: ModelLedger, id: number | null): void {
  const batch = id === null ? undefined : ledger.batches.get(id);
  if (id === null) ledger.paused = true;
  else if (batch?.state === 'active') batch.state = 'paused';
}

export function resume(ledger: ModelLedger, id: number | null): boolean {
  const batch = id === null ? undefined : ledger.batches.get(id);
  const held = id === null ? ledger.paused : batch?.state === 'paused' || batch?.state === 'stopped';
  if (id === null) ledger.paused = false;
  else if (batch?.state === 'paused') batch.state = 'active';
  else if (batch?.state === 'stopped') restartCounts(ledger, batch.id);
  return held;
}

export function restartCounts(ledger: ModelLedger, id: number): void {
  const batch = ledger.batches.get(id);
  if (batch === undefined) return;
  const { state, canaryRows, proven } = batch;
  Object.assign(batch, {
    state: state === 'stopped' ? 'active' : state,
    stopCode: null,
    countedSince: ledger.at,
    succeeded: 0,
    failed: 0,
    canaries: canaryRows ?? 0,
    proven: proven && canaryRows === null,
  });
}

export function cancel(ledger: ModelLedger, id: number): number {
  const batch = ledger.batches.get(id);
  if (batch !== undefined) batch.state = 'cancelled';
  const rows = [...ledger.rows.values()].filter((row) => row.batchId === id && row.state === 'pending');
  for (const row of rows) callOff(ledger, row);
  return rows.filter(({ state }) => state === 'cancelled').length;
}

export function retry(ledger: ModelLedger, id: number): number {
  const batch = ledger.batches.get(id);
  if (batch?.state === 'cancelled') batch.state = 'active';
  const rows = [...ledger.rows.values()].filter(
    (row) => row.batchId === id && ['rejected', 'exhausted', 'cancelled'].includes(row.state),
  );
  for (const row of rows) ledger.move(row, 'pending', { spent: 0, haltedAt: null });
  return rows.length;
}

/** The row asks for something else from now on, unless it may have been paid. */
export function edit(ledger: ModelLedger, id: number, contentHash: string): void {
  const row = ledger.rows.get(id);
  if (row === undefined || row.doubtful) return;
  if (['pending', 'rejected', 'exhausted', 'cancelled'].includes(row.state)) row.contentHash = contentHash;
}

export type Decision = { kind: 'task-id'; taskId: string } | { kind: 'not-sent' } | { kind: 'abandon' };

/** What a person says of an uncertain row. False: it is not for a person to say, or not yet. */
export function resolve(ledger: ModelLedger, id: number, decision: Decision): boolean {
  const row = ledger.rows.get(id);
  if (row?.state !== 'uncertain') return false;
  if (decision.kind === 'task-id') {
    const attempts = [...ledger.attempts.values()].filter((one) => one.submissionId === id);
    const evidence = unknownOf(ledger, row)[0] ?? attempts.sort((x, y) => y.number - x.number)[0];
    if (evidence === undefined) return false;
    // An attempt of its own: the one that left the row uncertain keeps its place for a late answer.
    const settled = {
      ...evidence,
      id: `said-${row.id}-${row.attempts + 1}`,
      number: row.attempts + 1,
      worker: 'resolve by somebody',
      claimedAt: ledger.at,
      deadline: ledger.at,
      sameKey: false,
      profileId: null,
      refusals: null,
      surplus: false,
      intendedAt: null,
      sweptAt: null,
      outcome: 'accepted' as const,
      phase: null,
      code: null,
      taskId: decision.taskId,
    };
    ledger.attempts.set(settled.id, settled);
    ledger.move(row, 'submitted', {
      taskId: decision.taskId,
      attemptId: settled.id,
      attempts: settled.number,
      doubtful: false,
    });
    return true;
  }
  if (decision.kind === 'abandon') {
    ledger.move(row, 'abandoned', { doubtful: false });
    return true;
  }
  if (unknownOf(ledger, row).some(({ deadline }) => deadline > ledger.at)) return false;
  const state = ledger.batchOf(row).state === 'cancelled' ? 'cancelled' : 'pending';
  ledger.move(row, state, { spent: 0, haltedAt: null, doubtful: false, notBefore: ledger.at });
  return true;
}
