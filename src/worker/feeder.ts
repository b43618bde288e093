import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import { bindBatches } from '../ledger/batches.ts';
import { followClock } from '../ledger/send/clock.ts';
import { frequent } from '../database/database.ts';
import type { Database } from '../database/database.ts';
import { keepFeeder, leaveFeeder } from '../ledger/send/feeder.ts';
import { readyBatches } from '../ledger/send/ready.ts';
import type { FeedScope } from '../ledger/send/ready.ts';
import type { Logger } from '../core/log.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Pace } from './pace.ts';
import { addChunks, readLive, removeUnreadable } from './queue/queue.ts';
import type { ChunkQueue } from './queue/queue.ts';
import { topUp } from './top-up.ts';

export interface FeederOptions {
  db: Database;
  queue: ChunkQueue;
  scope: FeedScope;
  pace: Pick<Pace, 'size' | 'ahead'>;
  log: Logger;
}

export interface Feeder {
  /** A job has ended: read the ledger again soon. */
  poke(): void;
  /** A worker found a job that cannot be read: remove such jobs. */
  sift(): void;
  /** Milliseconds since the last turn of its loop. */
  idleMs(): number;
  stop(): Promise<void>;
}

const TICK_MS = 500;
/** Pokes within this time share one look. */
const POKE_MS = 20;
const UPKEEP_MS = 2_000;
/** The feeder fills the queue when this share of the work ahead is done. */
const GONE = 0.25;
/** The feeder reads the ledger for at most this share of the time. */
const LOOK_SHARE = 1 / 4;
/** Batches that one look reads, at most. */
const MOST_BATCHES = 50;

/**
 * Fills the queue once from the ledger, so that `submit` without a worker already shows jobs on the board.
 * Returns how many jobs were added.
 */
export async function fill({ db, queue, scope, pace }: Omit<FeederOptions, 'log'>): Promise<number> {
  const { waiting } = await readLive(queue);
  const supply = { size: pace.size(), ahead: pace.ahead(), waiting };
  if (sum(waiting.values()) > supply.ahead * (1 - GONE)) return 0;
  const ready = await readyBatches(frequent(db), scope, { most: MOST_BATCHES, rows: supply.ahead });
  const chunks = topUp(ready, supply);
  if (chunks.length === 0) return 0;
  await addChunks(queue, chunks);
  crashPoint('chunks-queued');
  return chunks.length;
}

/**
 * Keeps about a second of work in the queue until it is stopped. It changes nothing in the ledger. If jobs are lost (a
 * flushed Redis, a job removed on the dashboard), the next look fills the queue again. If there are too many jobs, the
 * surplus ones find no row to claim.
 */
export function startFeeder(queueName: string, options: FeederOptions): Feeder {
  const { db, queue, scope, log } = options;
  const stopping = new AbortController();
  let away = false;
  let keptAt = -Infinity;
  let lookAfter = -Infinity;
  let turnedAt = performance.now();
  let wake: ((now: boolean) => void) | undefined;
  let poked = false;
  /** A look was put off because looks took too much time. */
  let owed = false;
  let spoilt = false;

  async function tick(): Promise<void> {
    if (performance.now() - keptAt > UPKEEP_MS) {
      await upkeep();
      keptAt = performance.now();
    }
    const before = performance.now();
    owed = before < lookAfter;
    if (owed) return;
    await fill(options);
    const now = performance.now();
    lookAfter = now + (now - before) * (1 / LOOK_SHARE - 1);
  }

  async function upkeep(): Promise<void> {
    await bindBatches(db, scope.origin);
    const byMs = await followClock(db);
    if (byMs > 0)
      log.warn({ event: 'clock-set-back', byMs }, "the ledger's clock was set back; so is what waits for it");
    await keepFeeder(db, queueName);
    if (spoilt) await removeSpoilt();
  }

  async function removeSpoilt(): Promise<void> {
    const { removed, held } = await removeUnreadable(queue);
    spoilt = held > 0;
    if (removed.length === 0) return;
    log.error(
      { event: 'jobs-unreadable', count: removed.length, jobs: removed.slice(0, 3) },
      'jobs that could not be read were removed from the queue; something else than vidbatch made or changed them',
    );
  }

  /** Until the next tick, a poke, or the end. */
  async function rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      const soon = owed ? Math.max(POKE_MS, lookAfter - performance.now()) : POKE_MS;
      const timer = setTimeout(resolve, poked || owed ? soon : TICK_MS);
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
        // The connection logs an outage once.
        if (isOutage(error)) log.debug(told);
        else {
          if (!away) log.warn(told, 'the feeder failed; trying again');
          away = true;
        }
      }
      turnedAt = performance.now();
      if (!stopping.signal.aborted) await rest();
    }
    await leaveFeeder(db, queueName).catch(() => undefined);
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

function sum(numbers: Iterable<number>): number {
  let all = 0;
  for (const one of numbers) all += one;
  return all;
}
