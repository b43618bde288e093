import { isUnreached, type OutcomeKind } from '../../../core/outcome.ts';
import type { State } from '../../../core/states.ts';
import type { Result } from '../result.ts';
import type { AttemptFacts, BatchFacts, Facts, ProviderFacts, RowFacts } from './facts.ts';
import { AVALANCHE } from './limits.ts';

/** An answer, and the records that it is about. */
interface Answer {
  result: Result;
  attempt: AttemptFacts;
  row: RowFacts;
  batch: BatchFacts;
  provider: ProviderFacts;
}

/** What an answer means for its row. */
export interface Decided extends Answer {
  /** The state of the row from now on. */
  next: State;
  /** This answer moves the row. */
  decides: boolean;
  /** Its task has the content that the row has, or waits for. */
  settles: boolean;
  /** It brought a task that the row does not have: a second task, or a task for content that the row had before. */
  surplus: boolean;
  /** Its task id was known before, from another attempt of the row. */
  known: boolean;
  /** It raises a halt of the provider. */
  halting: boolean;
  /** Another attempt of the row that may have been accepted. */
  doubt: string | undefined;
  /** How much of the row's attempts this answer uses up. */
  cost: 0 | 1;
}

/** What the answers of a group mean for their rows, each judged beside the others. */
export function decideRows(facts: Facts, results: readonly Result[]): Decided[] {
  const byAttempt = new Map(results.map((result) => [result.attemptId, result]));
  const answers = facts.attempts.flatMap((attempt) => answerTo(facts, attempt, byAttempt));
  return answers.map((answer) => decideRow(answer, answers));
}

function answerTo(facts: Facts, attempt: AttemptFacts, results: ReadonlyMap<string, Result>): Answer[] {
  const result = results.get(attempt.id);
  const row = facts.rows.get(attempt.submissionId);
  const batch = row && facts.batches.get(row.batchId);
  const provider = facts.providers.get(attempt.origin);
  if (!result || !row || !batch || !provider) return [];
  return [{ result, attempt, row, batch, provider }];
}

function decideRow(answer: Answer, group: readonly Answer[]): Decided {
  const { result, attempt, row, provider } = answer;
  const { kind } = result.outcome;
  const hopeless = isHopeless(answer);
  const doubt = row.doubtful ? doubtOf(answer, group) : undefined;
  const cost = costOf(answer, doubt);
  const halting = kind === 'halted' && attempt.epoch === provider.epoch && !hopeless;
  const judged = { ...answer, doubt, cost, halting, settles: settles(answer) };

  // If two attempts of one row are in the group, the first one that brings a task id decides.
  const settling = group
    .filter((one) => one.row === row && settles(one))
    .toSorted((a, b) => a.attempt.number - b.attempt.number)[0];
  const known = taskIdOf(answer) !== undefined && isKnown(answer, group);
  const surplus =
    kind === 'accepted' && !known && taskIdOf(answer) !== (row.taskId ?? (settling && taskIdOf(settling)));
  if (settling !== undefined) {
    const decides = settling.attempt === attempt && row.state !== 'submitted';
    return { ...judged, next: 'submitted', decides, known, surplus };
  }
  const isOpen = row.attemptId === attempt.id && (row.state === 'submitting' || row.state === 'uncertain');
  const next = isOpen ? nextOf(judged, hopeless) : row.state;
  return { ...judged, next, decides: isOpen, known, surplus };
}

/** The next state of a row that waits for this answer, if the answer brings no task. */
function nextOf(
  { result, row, batch, doubt, cost }: Pick<Decided, 'result' | 'row' | 'batch' | 'doubt' | 'cost'>,
  hopeless: boolean,
): State {
  const { kind } = result.outcome;
  const isInvalid = kind === 'invalid';
  const refused = kind === 'rejected' || hopeless;
  const usedUp = row.spent + cost >= result.maxAttempts;
  if (kind === 'uncertain' || doubt !== undefined) {
    const mayGoAgain =
      result.sameKey !== undefined && !refused && !isInvalid && batch.state !== 'cancelled' && !usedUp;
    return mayGoAgain ? 'pending' : 'uncertain';
  }
  if (isInvalid) return 'invalid';
  if (refused) return 'rejected';
  if (kind === 'not-sent' && cost > 0 && usedUp) return 'exhausted';
  return batch.state === 'cancelled' ? 'cancelled' : 'pending';
}

function settles({ result, attempt, row }: Answer): boolean {
  if (result.outcome.kind !== 'accepted') return false;
  const { contentHash } = attempt;
  if (contentHash === null || contentHash === row.contentHash) return true;
  return row.attemptId === attempt.id && (row.state === 'submitting' || row.state === 'uncertain');
}

/** The row has caused a halt before, and that halt was lifted: the row itself is wrong. */
function isHopeless({ result, row, provider }: Answer): boolean {
  const { haltedAt } = row;
  const { liftedAt } = provider;
  return result.outcome.kind === 'halted' && haltedAt !== null && liftedAt !== null && liftedAt > haltedAt;
}

/** The latest other attempt that may have been accepted, unless this group has a clear answer to it. */
function doubtOf({ attempt, row }: Answer, group: readonly Answer[]): string | undefined {
  return row.unknown.find(
    (id) =>
      id !== attempt.id &&
      !group.some((one) => one.attempt.id === id && one.result.outcome.kind !== 'uncertain'),
  );
}

/** A row in doubt uses up attempts with every answer, so that it ends. If the provider cannot be reached, no row is at fault. */
function costOf({ result, provider }: Answer, doubt: string | undefined): 0 | 1 {
  const { outcome, sameKey } = result;
  if (outcome.kind === 'not-sent') {
    return isUnreached(outcome) && provider.unreachedStreak >= AVALANCHE.unreachedInARow ? 0 : 1;
  }
  const inDoubt = outcome.kind === 'uncertain' || (outcome.kind === 'throttled' && doubt !== undefined);
  return inDoubt && sameKey !== undefined ? 1 : 0;
}

/** An id that comes twice is one task. */
function isKnown(answer: Answer, group: readonly Answer[]): boolean {
  const taskId = taskIdOf(answer) ?? '';
  const { attempt, row } = answer;
  return (
    row.taskIds.includes(taskId) ||
    group.some((one) => one.row === row && one.attempt.number < attempt.number && taskIdOf(one) === taskId)
  );
}

export function taskIdOf({ result: { outcome } }: Pick<Answer, 'result'>): string | undefined {
  return outcome.kind === 'accepted' ? outcome.taskId : undefined;
}

/** What a row is from now on. What is undefined stays. */
export interface RowChange {
  state: State;
  taskId: string | null;
  spent: number;
  refusals: number;
  doubtful: boolean;
  attemptId: string | null;
  haltedAt: number | null;
  notBefore?: number;
}

const WAITS: readonly OutcomeKind[] = ['throttled', 'not-sent', 'uncertain'];

/** The change of a row by the answer that `decides`. */
export function rowChange({ result, row, next, doubt, cost }: Decided, now: number): RowChange {
  const { kind } = result.outcome;
  const inDoubt = doubt !== undefined;
  const isRefusal = kind !== 'accepted' && kind !== 'uncertain' && kind !== 'invalid' && !inDoubt;
  return {
    state: next,
    taskId: next === 'submitted' ? (row.taskId ?? taskIdOf({ result }) ?? null) : null,
    spent: row.spent + cost,
    // The idempotency key changes with this number, so it stays while an earlier attempt may have been accepted.
    refusals: row.refusals + (isRefusal ? 1 : 0),
    doubtful: (next === 'pending' && (kind === 'uncertain' || inDoubt)) || (next === 'uncertain' && inDoubt),
    // An uncertain row points to the attempt whose outcome is unknown.
    attemptId: next === 'uncertain' && kind !== 'uncertain' ? (doubt ?? null) : row.attemptId,
    haltedAt: kind === 'halted' ? (row.haltedAt ?? now) : row.haltedAt,
    ...(next === 'pending' && WAITS.includes(kind) ? { notBefore: now + result.waitMs } : {}),
  };
}
