import { createHash } from 'node:crypto';
import type { Claim } from '../ledger/send/claim.ts';
import type { Blocked } from '../ledger/send/blocked.ts';
import type { Recorded, Result } from '../ledger/send/result.ts';
import type { Evidence, Outcome, Provider } from '../core/outcome.ts';
import { leaveFor } from '../core/retry.ts';
import type { SameKey } from '../core/retry.ts';
import { STALE_MS } from '../core/submission.ts';

/** What `submit` works with. Each promise it awaits is a fact once it resolves. */
export interface Hands {
  /** What stands on this machine's disk, whatever becomes of the ledger. */
  journal: {
    /** Resolves true when the intent is on the disk; false when the disk will not take it. */
    intend(claim: Claim): Promise<boolean>;
    /** Resolves when the answer is on the disk, or cannot be put there: the ledger will have it. */
    answer(claim: Claim, outcome: Outcome): Promise<void>;
  };
  /** Why a row breaks a rule by now, although it was valid when it was read; undefined: it breaks none. */
  check(claim: Claim): Evidence | undefined;
  /** One POST, whatever comes of it. */
  provider: Pick<Provider, 'create'>;
  /** Writes what the attempt told us; resolves only when that is committed, however long it takes. */
  record(result: Result): Promise<Recorded>;
  /** How long a row that goes back to pending waits. */
  wait(claim: Claim, outcome: Outcome): number;
  /** Attempts after which a row that was provably not sent is exhausted. */
  maxAttempts: number;
  /** Leave to send a row again of which nobody knows, under the same key. */
  sameKey?: SameKey | undefined;
  /** Prefix of idempotency keys: the ledger's id. */
  ledgerId: string;
  clock: Clock;
  /** Until a row's turn has come. */
  pause(ms: number): Promise<void>;
}

export interface Clock {
  /** Milliseconds since the epoch; may jump. */
  wall(): number;
  /** Milliseconds since some moment; never jumps, but may stand still while the machine sleeps. */
  monotonic(): number;
}

/** A moment by both clocks. */
export type Moment = ReturnType<typeof momentOf>;

export function momentOf(clock: Clock): { wall: number; monotonic: number } {
  return { wall: clock.wall(), monotonic: clock.monotonic() };
}

/** A row that this worker alone may send, and the moment before its claim was asked for. */
export interface ClaimedRow {
  claim: Claim;
  asked: Moment;
}

/** What became of a row. */
export interface Settled {
  kind: 'settled';
  claim: Claim;
  outcome: Outcome;
  recorded: Recorded;
  waitMs: number;
}

/** What a worker found out: a row is settled, or the rows of a batch are blocked. */
export type Verdict = Settled | { kind: 'blocked'; batchId: number; blocked: Blocked };

/** Before its turn an intent is written, so that the request leaves on time; not longer: a worker that dies then leaves doubt. */
const INTENT_MS = 50;

/**
 * Sends one claimed row, once.
 *
 * The claim is committed, and the row breaks no rule. Shortly before the row's turn the intent is on the disk, then the
 * request goes out. Its outcome is on the disk before it is recorded under the attempt's id. No two of these share a `try`: an error between them
 * leaves the row `submitting`, and after its deadline the sweeper calls it `uncertain`. Nothing here sends twice.
 */
export async function submit(row: ClaimedRow, hands: Hands): Promise<Settled> {
  const { claim } = row;
  const leave = leaveFor(hands.sameKey, claim.doubtMs);
  const broken = hands.check(claim);
  const outcome: Outcome =
    broken === undefined ? await sendOnce(row, leave, hands) : { kind: 'invalid', evidence: broken };
  await hands.journal.answer(claim, outcome);

  const waitMs = hands.wait(claim, outcome);
  const recorded = await hands.record({
    attemptId: claim.attemptId,
    outcome,
    waitMs,
    maxAttempts: hands.maxAttempts,
    ...(leave === undefined ? {} : { sameKey: leave }),
  });
  return { kind: 'settled', claim, outcome, recorded, waitMs };
}

async function sendOnce(
  { claim, asked }: ClaimedRow,
  leave: SameKey | undefined,
  hands: Hands,
): Promise<Outcome> {
  const isFresh = (): boolean => elapsedMs(asked, momentOf(hands.clock)) <= STALE_MS;

  const turn = turnOf(claim, hands);
  await turn(INTENT_MS);
  const intended = await hands.journal.intend(claim);
  await turn(0);
  return (
    obstacle(intended, claim.doubtMs === undefined || leave !== undefined, isFresh()) ??
    (await hands.provider.create(claim.request, {
      idempotencyKey: idempotencyKey(hands.ledgerId, claim),
      mayLeave: isFresh,
    }))
  );
}

/**
 * Changes with every known refusal, so that a provider that honours it does not replay a cached refusal; never while an
 * earlier attempt may have been accepted.
 */
export function idempotencyKey(
  ledgerId: string,
  { submissionId, refusals, request }: Pick<Claim, 'submissionId' | 'refusals' | 'request'>,
): string {
  // A ledger restored from an older copy gives its numbers anew: another request must not get this one's answer.
  const content = createHash('sha256').update(request).digest('hex').slice(0, 16);
  return `vidbatch-${ledgerId}-${submissionId}-${refusals}-${content}`;
}

/** Waits until so many milliseconds before the turn of a row that has one. */
function turnOf({ turnMs }: Claim, hands: Hands): (earlierMs: number) => Promise<void> {
  const turnAt = turnMs === undefined ? -Infinity : hands.clock.monotonic() + turnMs;
  return async (earlierMs) => {
    const ms = turnAt - earlierMs - hands.clock.monotonic();
    if (ms > 0) await hands.pause(ms);
  };
}

/** By the clock that says more: one may have jumped, the other may have stood still. */
function elapsedMs(from: Moment, to: Moment): number {
  return Math.max(to.wall - from.wall, to.monotonic - from.monotonic);
}

/** Undefined when the request may leave; otherwise why it does not. */
function obstacle(intended: boolean, allowed: boolean, fresh: boolean): Outcome | undefined {
  if (!intended) return notSent('NO_JOURNAL', 'the journal could not be written: not sent');
  if (!allowed) {
    return notSent(
      'IN_DOUBT',
      'an earlier attempt may have been accepted, and its key is not known to be honoured (any more): not sent',
    );
  }
  if (!fresh) {
    return notSent('STALE_CLAIM', 'more than 5 s passed between the claim and the request: not sent');
  }
  return undefined;
}

export function notSent(code: string, message: string): Outcome {
  return { kind: 'not-sent', retry: { afterMs: 0 }, evidence: { phase: 'connecting', code, message } };
}
