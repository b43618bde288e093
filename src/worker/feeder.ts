import type { Queue } from 'bullmq';
import { renewWindows } from '../ledger/send/calendar.ts';
import { isOutage } from '../database/connection-lost.ts';
import { messageOf } from '../core/errors.ts';
import { adoptBatches } from '../ledger/batch.ts';
import { followClock } from '../ledger/send/clock.ts';
import type { Database } from '../database/database.ts';
import { feed, freeLost, keepLane, leaveLane, queuedSince, unqueue } from '../ledger/send/feed.ts';
import type { FeedScope, Queued } from '../ledger/send/feed.ts';
import { makeRoom, takeTurns, withdraw } from '../ledger/send/withdrawal.ts';
import type { Logger } from '../core/log.ts';
import { reached } from '../core/point.ts';
import { boundsOf, isDue, keptOf, nextDepth } from './queue/depth.ts';
import {
  countJobs,
  countLive,
  dequeue,
  enqueue,
  isUnreadable,
  jobId,
  liveJobIds,
  promote,
  removeUnreadable,
} from './queue/queue.ts';
import type { JobData, JobResult } from './queue/queue.ts';

export interface FeederOptions {
  db: Database;
  queue: Queue<JobData, JobResult>;
  scope: FeedScope;
  /** At most so many rows are in the queue at a time; fewer, as long as these keep the workers busy. */
  depth: number;
  /** Rows that its worker has in its hands at a time. */
  inHand: number;
  log: Logger;
}

export interface Feeder {
  /** Something has changed (a job is done): look again soon. */
  poke(): void;
  /** A worker came across a job that cannot be read: such jobs are taken away, and their rows fed again. */
  sift(): void;
  /** Milliseconds since its loop last came round, whatever that turn brought. */
  idleMs(): number;
  stop(): Promise<void>;
}

const TICK_MS = 500;
/** Pokes closer together than this share one look. */
const POKE_MS = 20;
/** A row that has been queued for this long and is not in the queue was lost there. */
const LOST_AFTER_MS = 3_000;
const REPAIR_MS = 2_000;
/** Looking who has to wait takes no more than this part of the time, and is not done more often than this. */
const SHARE = { part: 1 / 4, ms: 200 };

/**
 * Tops the queue up once from the ledger, so that `submit` without a worker already shows jobs on the board.
 * Returns how many rows were queued.
 */
export async function fill(options: Omit<FeederOptions, 'log' | 'inHand'>): Promise<number> {
  return bring(options, options.depth - (await countLive(options.queue)));
}

async function bring(
  { db, queue, scope }: Pick<FeederOptions, 'db' | 'queue' | 'scope'>,
  room: number,
): Promise<number> {
  if (room <= 0) return 0;
  const rows = await feed(db, scope, room);
  if (rows.length === 0) return 0;
  reached('rows-fed');
  try {
    await enqueue(queue, rows);
  } catch (error) {
    await unqueue(
      db,
      rows.map((row) => row.submissionId),
    );
    throw error;
  }
  reached('rows-queued');
  return rows.length;
}

/**
 * Keeps the queue filled from the ledger until stopped. The ledger marks what is queued; whatever is marked but no
 * longer in the queue (a flushed Redis, a job removed on the dashboard, a feeder that died in between) is fed again.
 */
export function startFeeder(options: FeederOptions): Feeder {
  const { db, queue, scope, log } = options;
  const bounds = boundsOf(options.depth, options.inHand);
  let depth = bounds.least;
  /** When it was last left full to its depth; undefined: it is not known how fast rows leave it. */
  let fullAt: number | undefined;
  const stopping = new AbortController();
  let away = false;
  let repairedAt = -Infinity;
  let sharedUntil = -Infinity;
  let turnedAt = performance.now();
  let wake: ((now: boolean) => void) | undefined;
  let poked = false;
  let spoilt = false;

  async function tick(): Promise<void> {
    const repairs = performance.now() - repairedAt > REPAIR_MS;
    if (repairs) {
      await adoptBatches(db, scope.origin);
      const byMs = await followClock(db);
      if (byMs > 0)
        log.warn(
          { event: 'clock-set-back', byMs },
          "the ledger's clock was set back; so is what waits for it",
        );
      await keepLane(db, scope.lane);
      reached('lanes-freed');
      await renewWindows(db, log);
      if (spoilt) await takeAwayUnreadable();
      await clear();
      await repair();
      repairedAt = performance.now();
    }
    const shared = await shareAnew();
    const { live, waiting } = await countJobs(queue);
    const due = isDue(depth, waiting);
    if (!due && !shared && !repairs) return;
    if (due && fullAt !== undefined) depth = nextDepth(depth, waiting, performance.now() - fullAt, bounds);
    const room = Math.min(depth - waiting, bounds.most - live);
    fullAt = (await bring(options, room)) >= room ? performance.now() : undefined;
  }

  /** What waits for its window waits in the ledger; so does, for a moment, what has another priority now. */
  async function clear(): Promise<void> {
    const taken = await withdraw(db, scope.lane);
    const shut = taken.filter((row) => row.shut).length;
    if (shut > 0)
      log.info({ event: 'window-shut', count: shut }, 'queued rows wait for their window in the ledger');
    await dequeue(queue, taken);
  }

  /**
   * What ranks higher does not wait for a full queue to drain, nor does a batch that came later than a long one: others
   * are taken back for them, to be fed all in their turns. It costs, so it is not done all the time. True: some were.
   */
  async function shareAnew(): Promise<boolean> {
    const before = performance.now();
    if (before < sharedUntil) return false;
    const { live, waiting } = await countJobs(queue);
    const room = Math.min(depth - waiting, bounds.most - live);
    const taken = await makeRoom(db, scope, { depth, room });
    taken.push(...(await takeTurns(db, scope, { keep: keptOf(depth) })));
    await dequeue(queue, taken);
    const now = performance.now();
    sharedUntil = now + Math.max(SHARE.ms, (now - before) / SHARE.part);
    if (taken.length === 0) return false;
    fullAt = undefined;
    return true;
  }

  async function repair(): Promise<void> {
    const queued = await queuedSince(db, scope.lane, LOST_AFTER_MS);
    if (queued.length === 0) return;
    await wakeLate(queued);
    const live = await liveJobIds(queue);
    const lost = queued.filter((row) => !live.has(jobId(row.submissionId, row.generation)));
    if (lost.length === 0) return;
    // A job also ends by being refused or done: its row left the lane before, and after it was read here.
    const freed = await freeLost(db, scope.lane, lost);
    if (freed === 0) return;
    log.warn(
      { event: 'jobs-lost', count: freed },
      'rows were queued but their jobs are gone; feeding them again',
    );
    reached('rows-unqueued');
  }

  async function takeAwayUnreadable(): Promise<void> {
    const { removed, held } = await removeUnreadable(queue);
    spoilt = held > 0;
    if (removed.length === 0) return;
    log.error(
      { event: 'jobs-unreadable', count: removed.length, jobs: removed.slice(0, 3) },
      'jobs that could not be read were taken out of the queue; something else than vidbatch made or changed them',
    );
  }

  /** By the ledger's clock they are due: whatever the clocks of the workers say, their jobs need not wait. */
  async function wakeLate(queued: readonly Queued[]): Promise<void> {
    const due = queued.filter((row) => row.due);
    if (due.length === 0) return;
    const ids = new Set(due.map((row) => jobId(row.submissionId, row.generation)));
    const late = await promote(queue, ids).catch((error: unknown) => {
      if (!isUnreadable(error)) throw error;
      spoilt = true;
      return 0;
    });
    if (late > 0)
      log.debug({ event: 'jobs-late', count: late }, 'jobs still waited though their rows are due');
  }

  /** Until the next tick, a poke, or the end. */
  async function rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, poked ? POKE_MS : TICK_MS);
      wake = (now) => {
        clearTimeout(timer);
        if (now) resolve();
        else setTimeout(resolve, POKE_MS);
        wake = undefined;
      };
    });
    wake = undefined;
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      poked = false;
      try {
        await tick();
        if (away) log.info({ event: 'feeder-back' }, 'the feeder works again');
        away = false;
      } catch (error) {
        const told = { event: 'feeder-away', error: messageOf(error) };
        // An outage is told once, by the connection itself.
        if (isOutage(error)) log.debug(told);
        else {
          if (!away) log.warn(told, 'the feeder failed; trying again');
          away = true;
        }
      }
      turnedAt = performance.now();
      if (!stopping.signal.aborted) await rest();
    }
    await leaveLane(db, scope.lane).catch(() => undefined);
  }

  const done = loop();
  return {
    poke() {
      poked = true;
      wake?.(false);
    },
    sift() {
      spoilt = true;
    },
    idleMs: () => performance.now() - turnedAt,
    async stop() {
      stopping.abort();
      wake?.(true);
      await done;
    },
  };
}
