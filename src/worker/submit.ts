import { createHash } from 'node:crypto';
import type { Claim } from '../ledger/send/claim.ts';
import type { Blocked } from '../ledger/send/blocked.ts';
import type { Recorded, Result } from '../ledger/send/result.ts';
import type { Provider } from '../provider/client.ts';
import { notSent, type Evidence, type Outcome } from '../core/outcome.ts';
import { unlessTooOld, type SameKey } from '../core/retry-policy.ts';
import { STALE_MS } from '../core/states.ts';

/** What `submit` needs of the worker. When a promise of these resolves, its promise is a fact on disk or in the ledger. */
export interface SubmitPorts {
  /** The file on this machine's disk, which outlives the ledger. */
  journal: {
    /** Resolves true when the intent is on the disk, and false when it cannot be written. */
    intend(claim: Claim): Promise<boolean>;
    /** Resolves when the answer is on the disk, or cannot be written: then only the ledger will have it. */
    answer(claim: Claim, outcome: Outcome): Promise<void>;
  };
  /** Which rule the row breaks now, although it was valid when its manifest was read; undefined: none. */
  check(claim: Claim): Evidence | undefined;
  /** Sends one POST. It returns an outcome in every case, also after an error. */
  provider: Pick<Provider, 'create'>;
  /** Writes the outcome to the ledger. Resolves only when it is committed, however long that takes. */
  record(result: Result): Promise<Recorded>;
  /** Milliseconds that a row waits if it goes back to pending. */
  wait(claim: Claim, outcome: Outcome): number;
  /** Attempts after which a row that was provably not sent is exhausted. */
  maxAttempts: number;
  /** Permission to send a row again although its outcome is unknown, under the same idempotency key. */
  sameKey?: SameKey | undefined;
  /** The ledger's id, a prefix of idempotency keys. */
  ledgerId: string;
  clock: Clock;
  /** Waits for the row's slot under a rate limit. */
  pause(ms: number): Promise<void>;
}

export interface Clock {
  /** Milliseconds since the epoch; may jump. */
  wall(): number;
  /** Milliseconds since some moment. Never jumps, but may stop while the machine sleeps. */
  monotonic(): number;
}

/** A moment by both clocks. */
export type Moment = ReturnType<typeof momentOf>;

export function momentOf(clock: Clock): { wall: number; monotonic: number } {
  return { wall: clock.wall(), monotonic: clock.monotonic() };
}

/** A row that only this worker may send, and the moment before its claim was asked for. */
export interface ClaimedRow {
  claim: Claim;
  asked: Moment;
}

/** The result for a row. */
export interface Settled {
  kind: 'settled';
  claim: Claim;
  outcome: Outcome;
  recorded: Recorded;
  waitMs: number;
}

/** A row is settled, or the rows of a batch are blocked. */
export type Verdict = Settled | { kind: 'blocked'; batchId: number; blocked: Blocked };

/** The intent is written this long before the slot, so that the request leaves on time. Keep it short: a crash after the intent leaves the row uncertain. */
const INTENT_MS = 50;

/**
 * Sends one claimed row, once.
 *
 * 1. The claim is committed, and the row breaks no rule.
 * 2. The intent is on the disk before the request leaves.
 * 3. The request is sent at most once, and not if the claim is older than 5 seconds.
 * 4. The outcome is on the disk before it is recorded, by the attempt's id.
 *
 * No two steps share a `try`. An error between them leaves the row `submitting`. After its deadline the sweeper makes it
 * `uncertain`.
 */
export async function submit(row: ClaimedRow, ports: SubmitPorts): Promise<Settled> {
  const { claim } = row;
  const sameKey = unlessTooOld(ports.sameKey, claim.doubtMs);
  const broken = ports.check(claim);
  const outcome: Outcome =
    broken === undefined ? await sendOnce(row, sameKey, ports) : { kind: 'invalid', evidence: broken };
  await ports.journal.answer(claim, outcome);

  const waitMs = ports.wait(claim, outcome);
  const recorded = await ports.record({
    attemptId: claim.attemptId,
    outcome,
    waitMs,
    maxAttempts: ports.maxAttempts,
    ...(sameKey === undefined ? {} : { sameKey }),
  });
  return { kind: 'settled', claim, outcome, recorded, waitMs };
}

async function sendOnce(
  { claim, asked }: ClaimedRow,
  sameKey: SameKey | undefined,
  ports: SubmitPorts,
): Promise<Outcome> {
  const isFresh = (): boolean => elapsedMs(asked, momentOf(ports.clock)) <= STALE_MS;
  const isAllowed = claim.doubtMs === undefined || sameKey !== undefined;

  const waitForSlot = slotOf(claim, ports);
  await waitForSlot(INTENT_MS);
  const intended = await ports.journal.intend(claim);
  await waitForSlot(0);
  return (
    obstacle(intended, isAllowed, isFresh()) ??
    (await ports.provider.create(claim.request, {
      idempotencyKey: idempotencyKey(ports.ledgerId, claim),
      mayLeave: isFresh,
    }))
  );
}

/**
 * Changes with every known refusal, so that a provider that honours it does not repeat a stored refusal. It never changes
 * while an earlier attempt may have been accepted.
 */
export function idempotencyKey(
  ledgerId: string,
  { submissionId, refusals, request }: Pick<Claim, 'submissionId' | 'refusals' | 'request'>,
): string {
  // A ledger that was restored from an older copy gives the same numbers to other rows. Their requests need other keys.
  const content = createHash('sha256').update(request).digest('hex').slice(0, 16);
  return `vidbatch-${ledgerId}-${submissionId}-${refusals}-${content}`;
}

/** Waits until `earlierMs` before the row's slot, if it has one. */
function slotOf({ slotMs }: Claim, ports: SubmitPorts): (earlierMs: number) => Promise<void> {
  const slotAt = slotMs === undefined ? -Infinity : ports.clock.monotonic() + slotMs;
  return async (earlierMs) => {
    const ms = slotAt - earlierMs - ports.clock.monotonic();
    if (ms > 0) await ports.pause(ms);
  };
}

/** By the clock that shows more time: one may have jumped, the other may have stopped. */
function elapsedMs(from: Moment, to: Moment): number {
  return Math.max(to.wall - from.wall, to.monotonic - from.monotonic);
}

/** Undefined when the request may leave; otherwise why it does not. */
function obstacle(intended: boolean, isAllowed: boolean, isFresh: boolean): Outcome | undefined {
  if (!intended) return notSent('NO_JOURNAL', 'the journal could not be written: not sent');
  if (!isAllowed) {
    return notSent(
      'IN_DOUBT',
      'an earlier attempt may have been accepted, and its key is not known to be honoured (any more): not sent',
    );
  }
  if (!isFresh) {
    return notSent('STALE_CLAIM', 'more than 5 s passed between the claim and the request: not sent');
  }
  return undefined;
}
