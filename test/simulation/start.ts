import { ModelLedger } from './ledger/model.ts';
import type { Batch, Slip } from './ledger/state.ts';

/** A ledger with pending rows, before anything has happened. Rows of batch 2 are 21, 22 … */
export function newLedger(
  batches: readonly (Pick<Batch, 'origin' | 'proven'> & { rows: number })[],
  slip?: Slip,
): ModelLedger {
  const ledger = new ModelLedger(slip);
  for (const [n, { origin, proven, rows }] of batches.entries()) {
    const batchId = n + 1;
    ledger.batches.set(batchId, {
      id: batchId,
      name: `b${batchId}`,
      origin,
      state: 'active',
      proven,
      canary: null,
      windowId: null,
      notAfter: Number.POSITIVE_INFINITY,
      budget: null,
      currency: null,
      failShare: null,
      canaryRows: null,
      canaries: 0,
      countedSince: Number.NEGATIVE_INFINITY,
      succeeded: 0,
      failed: 0,
      stopCode: null,
    });
    if (!ledger.gateways.has(origin)) addGateway(ledger, origin);
    for (let line = 1; line <= rows; line += 1) addRow(ledger, batchId, line);
  }
  return ledger;
}

function addGateway(ledger: ModelLedger, origin: string): void {
  ledger.gateways.set(origin, {
    origin,
    state: 'open',
    epoch: 0,
    probe: null,
    throttledUntil: Number.NEGATIVE_INFINITY,
    throttledSince: null,
    throttleRaised: Number.NEGATIVE_INFINITY,
    throttleLevel: 0,
    uncertainStreak: 0,
    unreachedStreak: 0,
    unreachedSince: null,
  });
}

function addRow(ledger: ModelLedger, batchId: number, line: number): void {
  const id = batchId * 10 + line;
  ledger.rows.set(id, {
    id,
    batchId,
    key: `k${line}`,
    request: `{"row":${id}}`,
    contentHash: `k${line}`,
    state: 'pending',
    previous: null,
    notBefore: Number.NEGATIVE_INFINITY,
    offPeak: false,
    attemptId: null,
    deadline: null,
    attempts: 0,
    spent: 0,
    refusals: 0,
    haltedAt: null,
    taskId: null,
    doubtful: false,
    price: null,
    currency: null,
  });
}
