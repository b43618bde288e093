import type { BatchFacts } from './facts.ts';
import { FEWEST_OUTCOMES } from './limits.ts';
import { taskIdOf, type Decided } from './row.ts';

/** What a batch is from now on. */
export interface BatchChange {
  id: number;
  proven: boolean;
  canary: string | null;
  canaries: number;
  succeeded: number;
  failed: number;
  /** It stops. */
  stop?: { code: 'CANARY_FAILED' | 'TOO_MANY_FAILED'; reason: string };
}

/** What a group of answers means for a batch: whether it is proven, and whether it is wrong as a whole. */
export function decideBatch(batch: BatchFacts, group: readonly Decided[]): BatchChange | undefined {
  // Without a trial, outcomes are not counted: plain acceptances are not counted either.
  if (!batch.locked || (batch.proven && batch.failShare === null)) return undefined;
  const counted = group.filter(
    ({ decides, next, row, attempt }) =>
      decides && next !== row.state && attempt.claimedAt >= batch.countedSince,
  );
  const good = counted.filter(({ next }) => next === 'submitted').length;
  const bad = counted.filter(({ next }) => next === 'rejected' || next === 'exhausted' || next === 'invalid');
  const isAccepted = group.some((one) => taskIdOf(one) !== undefined);
  const proven = batch.proven || (batch.canaryRows === null ? isAccepted : good >= batch.canaries);
  const succeeded = batch.succeeded + good;
  const failed = batch.failed + bad.length;
  const isCanary = group.some(({ attempt }) => attempt.id === batch.canary);
  const stop = stopOf(batch, { succeeded, failed }, bad);
  return {
    id: batch.id,
    proven,
    canary: proven || isCanary ? null : batch.canary,
    canaries: Math.max(0, batch.canaries - good),
    succeeded,
    failed,
    ...(stop === undefined ? {} : { stop }),
  };
}

function stopOf(
  batch: BatchFacts,
  { succeeded, failed }: { succeeded: number; failed: number },
  bad: readonly Decided[],
): BatchChange['stop'] {
  if (batch.state !== 'active' && batch.state !== 'paused') return undefined;
  const last = bad.toSorted((a, b) => b.attempt.number - a.attempt.number)[0];
  const { message } = last?.result.outcome.evidence ?? {};
  const { canaryRows, failShare } = batch;
  if (canaryRows !== null && !batch.proven && last !== undefined) {
    const first = canaryRows === 1 ? 'row' : `${canaryRows} rows`;
    const reason = `row ${last.row.key} failed, and the first ${first} must be accepted before the rest`;
    return { code: 'CANARY_FAILED', reason: message === undefined ? reason : `${reason}: ${message}` };
  }
  const outcomes = succeeded + failed;
  if (failShare === null || outcomes < FEWEST_OUTCOMES || failed / outcomes < failShare) return undefined;
  const percent = Number((failShare * 100).toPrecision(12));
  const reason = `${failed} of ${outcomes} rows failed, and ${percent}% stop the batch`;
  return {
    code: 'TOO_MANY_FAILED',
    reason: message === undefined ? reason : `${reason}; the last: ${message}`,
  };
}
