import type { Intent } from '../../../src/worker/journal/journal.ts';
import type { Unheard } from '../../../src/ledger/send/journal.ts';
import { unknownOf } from './doubt.ts';
import type { ModelLedger } from './state.ts';

export function knownJournals(ledger: ModelLedger, names: readonly string[]): Map<string, number> {
  return new Map([...ledger.journals].filter(([name]) => names.includes(name)));
}

export function rememberJournal(ledger: ModelLedger, name: string, bytes: number): void {
  ledger.journals.set(name, bytes);
}

export function unrecorded(
  ledger: ModelLedger,
  attemptIds: readonly string[],
): Map<string, 'attempt' | 'answer'> {
  return new Map(
    attemptIds.flatMap((id): [string, 'attempt' | 'answer'][] => {
      const attempt = ledger.attempts.get(id);
      if (attempt === undefined) return [[id, 'attempt']];
      return attempt.outcome === null ? [[id, 'answer']] : [];
    }),
  );
}

export function unheard(ledger: ModelLedger, workers: readonly string[]): Unheard[] {
  return [...ledger.attempts.values()]
    .filter((one) => one.outcome === null && one.intendedAt === null && workers.includes(one.worker))
    .filter((one) => {
      const row = ledger.rowOf(one);
      if (ledger.slip === 'unheard-asks-for-the-deciding-attempt-only' && row.attemptId !== one.id)
        return false;
      return ['submitting', 'uncertain'].includes(row.state);
    })
    .map(({ worker, id }) => ({ worker, attemptId: id }));
}

export function lastSent(ledger: ModelLedger, worker: string, limit: number): string[] {
  return [...ledger.attempts.values()]
    .filter((one) => one.worker === worker && one.outcome !== null && one.phase !== 'connecting')
    .sort((a, b) => b.claimedAt - a.claimedAt)
    .slice(0, limit)
    .map(({ id }) => id);
}

export function confirmIntents(ledger: ModelLedger, attemptIds: readonly string[]): void {
  for (const id of attemptIds) {
    const attempt = ledger.attempts.get(id);
    if (attempt !== undefined) attempt.intendedAt = ledger.at;
  }
}

export function restoreAttempts(
  ledger: ModelLedger,
  from: { origin: string; worker: string },
  intent: Omit<Intent, 'kind'>,
): boolean {
  const row = [...ledger.rows.values()].find(
    (one) =>
      one.key === intent.key &&
      ledger.batchOf(one).name === intent.batch &&
      (intent.content === undefined || intent.content === one.contentHash),
  );
  if (row === undefined || ledger.attempts.has(intent.attempt)) return false;
  const at = Date.parse(intent.at);
  const waits = ['submitting', 'uncertain'].includes(row.state);
  const hasLater = waits && intent.number < row.attempts;
  ledger.attempts.set(intent.attempt, {
    id: intent.attempt,
    submissionId: row.id,
    number: intent.number,
    worker: from.worker,
    origin: from.origin,
    epoch: intent.epoch,
    contentHash: intent.content ?? null,
    claimedAt: at,
    deadline: ledger.at,
    sameKey: false,
    profileId: null,
    refusals: null,
    intendedAt: at,
    sweptAt: hasLater ? ledger.at : null,
    outcome: null,
    phase: null,
    code: null,
    taskId: null,
    surplus: false,
  });
  if (ledger.slip === 'restore-moves-pending-rows-only' && row.state !== 'pending') return true;
  const unknown = unknownOf(ledger, row).some(({ id }) => id !== intent.attempt);
  const decided = { attemptId: intent.attempt, attempts: Math.max(row.attempts, intent.number) };
  if (hasLater) ledger.move(row, row.state, { doubtful: true });
  else if (waits) ledger.move(row, row.state, { ...decided, doubtful: row.doubtful || unknown });
  else if (['pending', 'rejected', 'exhausted', 'cancelled', 'invalid'].includes(row.state)) {
    if (ledger.slip === 'restore-revives-paid-rows') return true;
    row.state = 'pending';
    ledger.move(row, 'submitting', { ...decided, deadline: ledger.at });
  }
  return true;
}
