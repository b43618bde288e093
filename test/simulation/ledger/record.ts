import { decide, recordedOf } from '../../../src/ledger/send/decide/decide.ts';
import type { BatchFacts, Facts, ProviderFacts, RowFacts } from '../../../src/ledger/send/decide/facts.ts';
import type { ProviderChange } from '../../../src/ledger/send/decide/provider.ts';
import { rowChange, type Decided } from '../../../src/ledger/send/decide/row.ts';
import type { Recorded, Result } from '../../../src/ledger/send/result.ts';
import { unknownOf } from './doubt.ts';
import type { Attempt, ModelLedger } from './state.ts';

/** Decides as the program does, and keeps it as its SQL does. */
export function record(ledger: ModelLedger, results: readonly Result[]): Recorded[] {
  const facts = factsOf(ledger, results);
  const decision = decide(facts, results);
  const { rows, batches, providers } = decision;
  for (const one of rows) {
    settle(ledger, one);
    const { notBefore, ...change } = rowChange(one, facts.now);
    const row = ledger.rowOf(attemptOf(ledger, one));
    if (!one.decides) continue;
    const slipped = ledger.slip === 'uncertain-is-sent-again' && one.result.outcome.kind === 'uncertain';
    ledger.move(row, slipped ? 'pending' : change.state, {
      ...change,
      deadline: null,
      notBefore: notBefore ?? row.notBefore,
    });
  }
  for (const { id, stop, ...change } of batches) {
    const stopped = stop === undefined ? {} : { state: 'stopped' as const, stopCode: stop.code };
    Object.assign(ledger.batches.get(id) ?? {}, change, stopped);
  }
  for (const provider of providers) saveProvider(ledger, provider);
  return recordedOf(decision);
}

/** Copies, as a statement reads them. */
function factsOf(ledger: ModelLedger, results: readonly Result[]): Facts {
  const attempts = [...new Set(results.map(({ attemptId }) => attemptId))]
    .flatMap((id) => ledger.attempts.get(id) ?? [])
    .filter((one) => one.outcome === null && mayBeRecorded(ledger, one))
    .sort((a, b) => a.submissionId - b.submissionId || a.number - b.number);
  const rows = new Map(attempts.map((one) => [one.submissionId, rowFacts(ledger, one)]));
  const batches = attempts.map((one): [number, BatchFacts] => {
    const batch = ledger.batchOf(ledger.rowOf(one));
    return [batch.id, { ...batch, locked: true }];
  });
  const providers = attempts.map((one): [string, ProviderFacts] => [
    one.origin,
    {
      ...ledger.gatewayOf(one),
      locked: true,
      everThere: [...ledger.batches.values()].some((batch) => batch.proven && batch.origin === one.origin),
      liftedAt: liftedAt(ledger, one.origin),
    },
  ]);
  return { now: ledger.at, attempts, rows, batches: new Map(batches), providers: new Map(providers) };
}

function mayBeRecorded(ledger: ModelLedger, attempt: Attempt): boolean {
  const { state } = ledger.rowOf(attempt);
  return ledger.slip !== 'record-drops-late-answers' || state === 'submitting' || state === 'submitted';
}

function rowFacts(ledger: ModelLedger, attempt: Attempt): RowFacts {
  const row = ledger.rowOf(attempt);
  const taskIds = [...ledger.attempts.values()]
    .filter((one) => one.submissionId === row.id)
    .flatMap(({ taskId }) => taskId ?? []);
  return {
    ...row,
    ...(ledger.slip === 'record-by-row' ? { attemptId: attempt.id } : {}),
    unknown: row.doubtful ? unknownOf(ledger, row).map(({ id }) => id) : [],
    taskIds,
  };
}

function liftedAt({ halts }: ModelLedger, origin: string): number | null {
  const lifted = halts.filter((halt) => halt.origin === origin).flatMap((halt) => halt.liftedAt ?? []);
  return lifted.length === 0 ? null : Math.max(...lifted);
}

function attemptOf(ledger: ModelLedger, { attempt: { id } }: Decided): Attempt {
  const attempt = ledger.attempts.get(id);
  if (attempt === undefined) throw new Error(`no attempt ${id}`);
  return attempt;
}

function settle(ledger: ModelLedger, decided: Decided): void {
  const { outcome } = decided.result;
  Object.assign(attemptOf(ledger, decided), {
    outcome: outcome.kind,
    phase: outcome.evidence.phase,
    code: outcome.evidence.code ?? null,
    taskId: outcome.kind === 'accepted' ? outcome.taskId : null,
    surplus: decided.surplus,
  });
}

function saveProvider(ledger: ModelLedger, { halt, ...provider }: ProviderChange): void {
  const { origin, state } = provider;
  Object.assign(ledger.gatewayOf(provider), provider);
  const open = ledger.halts.find((one) => one.origin === origin && one.liftedAt === null);
  if (halt !== undefined && open === undefined) ledger.halts.push({ origin, liftedAt: null });
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
