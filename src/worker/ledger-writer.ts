import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { VidbatchError } from '../core/errors.ts';
import { createSlotClock } from './rate/ledger-clock.ts';
import { readBlocked, type Blocked } from '../ledger/send/blocked.ts';
import {
  claim,
  claimAfter,
  claimLocked,
  granted,
  type Claim,
  type ClaimScope,
  type Place,
  type Wish,
} from '../ledger/send/claim.ts';
import { frequent, type Database, type Queryable } from '../database/database.ts';
import { grouped } from '../core/group-commit.ts';
import { record, recordedBefore } from '../ledger/send/record.ts';
import type { Recorded, Result } from '../ledger/send/result.ts';
import type { Logger } from '../core/log.ts';
import { untilLedgerAnswers } from '../database/outage.ts';
import { crashPoint } from '../core/crash-points.ts';

/** The rows that a worker may send now. It gets fewer than it asked for if the other rows are blocked. */
export interface Claimed {
  claims: Claim[];
  /** Undefined: it got all rows that it asked for. */
  blocked?: Blocked;
}

/** The two writes of a submission, for one worker: in groups, and repeated while the ledger cannot be reached. */
export interface LedgerWriter {
  /** Claims up to `rows` rows of a batch, in one commit. */
  claim: (batchId: number, rows: number) => Promise<Claimed>;
  record: (result: Result) => Promise<Recorded>;
}

/**
 * A record waits this long for others. Half of the cost of a statement does not depend on the number of its rows, and
 * one claim takes all slots that a group of records frees.
 */
const GATHER_MS = 2;
/** For this time, a claim continues after the last row. A row that becomes due before that place waits as long. */
const PLACE_MS = 1_000;

/** After `stopping`, a claim that fails is not repeated, but a record is. */
export function createLedgerWriter(
  database: Database,
  scope: ClaimScope,
  log: Logger,
  stopping?: AbortSignal,
): LedgerWriter {
  return {
    claim: createClaimer(frequent(database), scope, log, stopping),
    record: createRecorder(database, log),
  };
}

function createClaimer(
  db: Queryable,
  scope: ClaimScope,
  log: Logger,
  stopping: AbortSignal | undefined,
): LedgerWriter['claim'] {
  const slotClock = createSlotClock();
  /** Batches whose last claim needed a lock. */
  const locked = new Set<number>();
  /** The last claimed row of each batch whose next claim may continue after it. */
  const places = new Map<number, { place: Place; until: number }>();

  /** One statement. If it is repeated after an error, each attempt is still granted once: see `granted`. */
  function claimOnce(batchId: number, rows: number): Promise<Claim[]> {
    const wish = { batchId, attemptIds: Array.from({ length: rows }, () => randomUUID()) };
    const attempt = async (again: boolean): Promise<Claim[]> => {
      if (!again) return goOn(wish);
      const fresh = await fromTheStart(wish);
      // The failed statement may have been committed, or may be committed now by a server that stood still. So attempts
      // that we did not get may already be ours. Each attempt is made once, so this is no second claim.
      const known = new Set(fresh.map((one) => one.attemptId));
      const before = await granted(
        db,
        wish.attemptIds.filter((id) => !known.has(id)),
      );
      return [...fresh, ...before];
    };
    return untilLedgerAnswers('claim', log, attempt, stopping);
  }

  function fromTheStart(wish: Wish): Promise<Claim[]> {
    return slotClock.timed(() => (locked.has(wish.batchId) ? underLock(wish) : claim(db, scope, wish)));
  }

  /** Claims after the last row, if its place is known. If that brings too few rows, it claims the others from the start. */
  async function goOn({ batchId, attemptIds }: Wish): Promise<Claim[]> {
    const known = places.get(batchId);
    places.delete(batchId);
    if (known === undefined || known.until < performance.now() || locked.has(batchId)) {
      const claims = await fromTheStart({ batchId, attemptIds });
      keepPlace(batchId, claims, performance.now() + PLACE_MS);
      return claims;
    }
    const next = await claimAfter(db, scope, { batchId, attemptIds }, known.place);
    const used = new Set(next.map(({ attemptId }) => attemptId));
    if (used.size === attemptIds.length) {
      keepPlace(batchId, next, known.until);
      return next;
    }
    if (stopping?.aborted === true) return next;
    const left = attemptIds.filter((id) => !used.has(id));
    return [...next, ...(await fromTheStart({ batchId, attemptIds: left }))];
  }

  function keepPlace(batchId: number, claims: readonly Claim[], until: number): void {
    const place = claims.at(-1)?.place;
    if (place !== undefined) places.set(batchId, { place, until });
  }

  async function underLock(wish: Wish): Promise<Claim[]> {
    const { claims, lockNeeded } = await claimLocked(db, scope, wish);
    if (!lockNeeded) locked.delete(wish.batchId);
    return claims;
  }

  async function claimRows(batchId: number, rows: number): Promise<Claimed> {
    const claims = await claimOnce(batchId, rows);
    if (claims.length === rows) return { claims };
    const ask = (): ReturnType<typeof readBlocked> => readBlocked(db, scope, batchId);
    const { blocked, lockNeeded } = await untilLedgerAnswers('claim', log, ask, stopping);
    if (claims.length > 0 || blocked.reason !== 'busy') return { claims, blocked };
    if (!lockNeeded || locked.has(batchId)) {
      locked.delete(batchId);
      return { claims, blocked };
    }
    locked.add(batchId);
    const alone = await claimOnce(batchId, rows);
    return alone.length === rows ? { claims: alone } : { claims: alone, blocked };
  }

  return async (batchId, rows) => {
    const { claims, ...rest } = await claimRows(batchId, rows);
    if (claims.length > 0) crashPoint('claimed');
    return { claims: claims.map((one) => slotClock.fromNow(one)), ...rest };
  };
}

function createRecorder(db: Database, log: Logger): LedgerWriter['record'] {
  async function recordGroup(results: readonly Result[]): Promise<Recorded[]> {
    const recorded = await record(db, results);
    const byAttempt = new Map(recorded.map((one) => [one.attemptId, one]));
    const others = results.map(({ attemptId }) => attemptId).filter((id) => !byAttempt.has(id));
    if (others.length > 0) {
      for (const one of await recordedBefore(frequent(db), others)) byAttempt.set(one.attemptId, one);
    }
    return results.map((result) => {
      const one = byAttempt.get(result.attemptId);
      if (one === undefined) throw unknownAttempt(result);
      return one;
    });
  }

  const recordInGroup = grouped(recordGroup, { gather: () => sleep(GATHER_MS) });
  return async (result) => {
    const recorded = await untilLedgerAnswers('record', log, () => recordInGroup(result));
    crashPoint('recorded');
    return recorded;
  };
}

/** The ledger was replaced under a running worker, so repeating does not help. */
function unknownAttempt({ attemptId, outcome }: Result): VidbatchError {
  const told = outcome.kind === 'accepted' ? `accepted as task ${outcome.taskId}` : outcome.kind;
  return new VidbatchError(
    'UNKNOWN_ATTEMPT',
    `attempt ${attemptId} is not in the ledger, which cannot record that it was ${told}`,
    {
      hint: 'Another ledger has taken its place, perhaps a backup. Keep the data folder and start again: the journal there has the answer.',
    },
  );
}
