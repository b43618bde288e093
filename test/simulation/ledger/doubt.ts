import type { Again } from '../../../src/ledger/send/unknown-outcome.ts';
import type { Attempt, ModelLedger, Row } from './state.ts';

/** Attempts of a row of which nobody knows whether they were accepted, the latest first. */
export function unknownOf(ledger: ModelLedger, row: Row): Attempt[] {
  return [...ledger.attempts.values()]
    .filter((one) => one.submissionId === row.id && (one.outcome === null || one.outcome === 'uncertain'))
    .sort((a, b) => b.number - a.number || (a.id < b.id ? 1 : -1));
}

/** All batches of the model have this profile. */
export const PROFILE = 1;

export function doubtMsOf(ledger: ModelLedger, row: Row): number | null {
  const unknown = unknownOf(ledger, row);
  if (unknown.length === 0) return null;
  if (unknown.some(({ profileId }) => profileId !== PROFILE)) return Infinity;
  const sameKey = [...ledger.attempts.values()].filter(
    (one) => one.submissionId === row.id && one.refusals === row.refusals,
  );
  return ledger.at - Math.min(...[...unknown, ...sameKey].map(({ claimedAt }) => claimedAt));
}

/** A waiting row whose batch was cancelled. */
export function callOff(ledger: ModelLedger, row: Row): void {
  const attemptId = row.doubtful ? (unknownOf(ledger, row)[0]?.id ?? row.attemptId) : row.attemptId;
  ledger.move(row, row.doubtful ? 'uncertain' : 'cancelled', { attemptId });
}

export function mayGoAgain(
  ledger: ModelLedger,
  row: Row,
  attempt: Attempt | undefined,
  again: Again | undefined,
): boolean {
  const batch = ledger.batchOf(row);
  const doubtMs = doubtMsOf(ledger, row);
  return (
    again !== undefined &&
    attempt?.origin === again.origin &&
    attempt.intendedAt !== attempt.claimedAt &&
    batch.origin === again.origin &&
    batch.state !== 'cancelled' &&
    row.spent + 1 < again.maxAttempts &&
    doubtMs !== null &&
    doubtMs < (again.sameKeys.get(PROFILE)?.lifeMs ?? 0)
  );
}

export function sendUnheardAgain(ledger: ModelLedger, again: Again): number {
  let count = 0;
  for (const row of ledger.rows.values()) {
    const attempt = ledger.attempts.get(row.attemptId ?? '');
    if (row.state !== 'uncertain' || attempt?.outcome !== null || attempt.sweptAt === null) continue;
    if (!mayGoAgain(ledger, row, attempt, again)) continue;
    ledger.move(row, 'pending', { doubtful: true, spent: row.spent + 1 });
    count += 1;
  }
  return count;
}
