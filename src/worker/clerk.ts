import { randomUUID } from 'node:crypto';
import { VidbatchError } from '../core/errors.ts';
import { momentOf, narrowed } from './rate/ledger-clock.ts';
import type { Ahead } from './rate/ledger-clock.ts';
import { claim, claimAlone, granted } from '../ledger/send/claim.ts';
import type { Claim, ClaimScope, ClaimWish } from '../ledger/send/claim.ts';
import type { Database } from '../database/database.ts';
import { grouped } from '../core/group.ts';
import { record, recordedBefore } from '../ledger/send/record.ts';
import { refusals } from '../ledger/send/refusal.ts';
import type { Refusal } from '../ledger/send/refusal.ts';
import type { Recorded, Result } from '../ledger/send/result.ts';
import { heldBack } from '../ledger/send/turn.ts';
import type { Logger } from '../core/log.ts';
import { patiently } from '../database/patience.ts';
import { reached } from '../core/point.ts';

/** The two writes of a submission, for one worker: grouped, and patient with a ledger that is away for a while. */
export interface Clerk {
  claim: (submissionId: number) => Promise<Claim | Refusal>;
  record: (result: Result) => Promise<Recorded>;
}

/** `stopping`: a claim is not waited for any longer, while a record still is. */
export function createClerk(db: Database, scope: ClaimScope, log: Logger, stopping?: AbortSignal): Clerk {
  const claimPatiently = <T>(attempt: (again: boolean) => Promise<T>): Promise<T> =>
    patiently('claim', log, attempt, stopping);

  let ahead: Ahead | undefined;

  /** Each claim under a limit tells what the ledger's clock is. */
  async function timed<T extends readonly Claim[]>(ask: () => Promise<T>): Promise<T> {
    const asked = performance.now();
    const claims = await ask();
    const answered = performance.now();
    const nowMs = claims.find((one) => one.nowMs !== undefined)?.nowMs;
    if (nowMs !== undefined) ahead = narrowed(ahead, { nowMs, asked, answered });
    return claims;
  }

  /** Its turn is as near as it is now: to say why others have none took a while. */
  function untilTurn(one: Claim): Claim {
    const { turnMs, nowMs } = one;
    if (turnMs === undefined || nowMs === undefined || ahead === undefined) return one;
    return { ...one, turnMs: momentOf(nowMs + turnMs, ahead) - performance.now() };
  }

  async function claimGroup(wishes: readonly ClaimWish[]): Promise<(Claim | Refusal)[]> {
    const claims = await claimPatiently(async (again) => {
      const fresh = await timed(() => claim(db, scope, wishes));
      // After an error the statement may have been committed all the same, even only now, by a server that stood still:
      // what we did not get may be ours already. An attempt is made once, so asking again is no second claim.
      const left = again ? without(wishes, fresh) : [];
      return left.length === 0 ? fresh : [...fresh, ...(await granted(db, left))];
    });
    const byAttempt = new Map(claims.map((one) => [one.attemptId, one]));
    const left = wishes.filter((wish) => !byAttempt.has(wish.attemptId));
    const reasons = left.length === 0 ? [] : await whyNot(left);
    const bySubmission = new Map(reasons.map((reason) => [reason.submissionId, reason]));
    const alone = reasons.filter(({ reason }) => reason === 'alone');
    for (const held of await whoWaits(alone)) bySubmission.set(held.submissionId, held);
    for (const wish of left) {
      if (bySubmission.get(wish.submissionId)?.reason !== 'alone') continue;
      const only = await claimOne(wish);
      if (only !== undefined) byAttempt.set(wish.attemptId, only);
    }
    return wishes.map(
      (wish) =>
        byAttempt.get(wish.attemptId) ??
        bySubmission.get(wish.submissionId) ?? { submissionId: wish.submissionId, reason: 'not-pending' },
    );
  }

  function whyNot(wishes: readonly ClaimWish[]): Promise<Refusal[]> {
    const ids = wishes.map((wish) => wish.submissionId);
    return claimPatiently(() => refusals(db, scope, ids));
  }

  /** Rows whose turn has not come, rather than such of which only one may be in flight. */
  function whoWaits(alone: readonly Refusal[]): Promise<Refusal[]> {
    const ids = alone.map(({ submissionId }) => submissionId);
    return claimPatiently(() => heldBack(db, scope, ids));
  }

  function claimOne(wish: ClaimWish): Promise<Claim | undefined> {
    return claimPatiently(async (again) => {
      const [fresh] = await timed(async () => {
        const one = await claimAlone(db, scope, wish);
        return one === undefined ? [] : [one];
      });
      return fresh ?? (again ? (await granted(db, [wish]))[0] : undefined);
    });
  }

  async function recordGroup(results: readonly Result[]): Promise<Recorded[]> {
    const recorded = await record(db, results);
    const byAttempt = new Map(recorded.map((one) => [one.attemptId, one]));
    const before = results.filter((result) => !byAttempt.has(result.attemptId));
    if (before.length > 0) {
      for (const one of await recordedBefore(
        db,
        before.map((result) => result.attemptId),
      )) {
        byAttempt.set(one.attemptId, one);
      }
    }
    return results.map((result) => {
      const one = byAttempt.get(result.attemptId);
      if (one === undefined) throw unknownAttempt(result);
      return one;
    });
  }

  const claimInGroup = grouped(claimGroup);
  const recordInGroup = grouped(recordGroup);
  return {
    async claim(submissionId) {
      const claimed = await claimInGroup({ submissionId, attemptId: randomUUID() });
      if ('reason' in claimed) return claimed;
      reached('claimed');
      return untilTurn(claimed);
    },
    async record(result) {
      const recorded = await patiently('record', log, () => recordInGroup(result));
      reached('recorded');
      return recorded;
    },
  };
}

function without(wishes: readonly ClaimWish[], claims: readonly Claim[]): ClaimWish[] {
  const held = new Set(claims.map((one) => one.attemptId));
  return wishes.filter((wish) => !held.has(wish.attemptId));
}

/** The ledger was exchanged under a running worker: no patience brings the attempt back. */
function unknownAttempt({ attemptId, outcome }: Result): VidbatchError {
  const told = outcome.kind === 'accepted' ? `accepted as task ${outcome.taskId}` : outcome.kind;
  return new VidbatchError(
    'UNKNOWN_ATTEMPT',
    `attempt ${attemptId} is not in the ledger, which cannot record that it was ${told}`,
  );
}
