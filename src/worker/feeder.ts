import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import { bindBatches } from '../ledger/batches.ts';
import { followClock } from '../ledger/send/clock.ts';
import { frequent, type Database } from '../database/database.ts';
import { keepFeeder, leaveFeeder } from '../ledger/send/feeder.ts';
import { readyBatches, type FeedScope } from '../ledger/send/ready.ts';
import type { Logger } from '../core/log.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Pace } from './pace.ts';
import { addChunks, readLive, removeUnreadable, type ChunkQueue } from './queue/queue.ts';
import { sum, topUp } from './top-up.ts';

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
export async function fill(options: Omit<FeederOptions, 'log'>): Promise<number> {
  return (await look(options)).added;
}

/** `waits`: jobs that wait after it. */
async function look({
  db,
  queue,
  scope,
  pace,
}: Omit<FeederOptions, 'log'>): Promise<{ added: number; waits: number }> {
  const { waits, waiting } = await readLive(queue);
  const supply = { size: pace.size(), ahead: pace.ahead(), waiting };
  if (sum(waiting.values()) > supply.ahead * (1 - GONE)) return { added: 0, waits };
  const ready = await readyBatches(frequent(db), scope, { most: MOST_BATCHES, rows: supply.ahead });
  const chunks = topUp(ready, supply);
  if (chunks.length > 0) {
    await addChunks(queue, chunks);
    crashPoint('chunks-queued');
  }
  return { added: chunks.length, waits: waits + chunks.length };
}

/**
 * Keeps about a second of work in the queue until it is stopped. It changes nothing in the ledger. If jobs are lost (a
 * flushed Redis, a job removed on the dashboard), the next look fills the queue again. If there are too many jobs, the
 * surplus ones find no row to claim.
 */
export function startFeeder(
  queueName: string,
  options: FeederOptions,
  now: () => number = () => performance.now(),
): Feeder {
  const { db, queue, scope, log } = options;
  const stopping = new AbortController();
  let away = false;
  let keptAt = -Infinity;
  let lookAfter = -Infinity;
  let turnedAt = now();
  let wake: ((atOnce: boolean) => void) | undefined;
  let poked = false;
  /** A look was put off because looks took too much time. */
  let owed = false;
  /** As many jobs as waited after the last look, less those that have ended since. */
  let ahead = 0;
  let spoilt = false;

  async function tick(): Promise<void> {
    if (now() - keptAt > UPKEEP_MS) {
      await upkeep();
      keptAt = now();
    }
    const before = now();
    owed = before < lookAfter;
    if (owed) return;
    ahead = 0;
    const { waits } = await look(options);
    ahead += waits;
    const after = now();
    lookAfter = poked && ahead <= 0 ? -Infinity : after + (after - before) * (1 / LOOK_SHARE - 1);
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
      const soon = owed ? Math.max(POKE_MS, lookAfter - now()) : POKE_MS;
      const timer = setTimeout(resolve, poked || owed ? soon : TICK_MS);
      wake = (atOnce) => {
        clearTimeout(timer);
        if (atOnce) resolve();
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
      turnedAt = now();
      if (!stopping.signal.aborted) await rest();
    }
    await leaveFeeder(db, queueName).catch(() => undefined);
  }

  const done = loop();
  return {
    poke() {
      poked = true;
      ahead -= 1;
      // No job waits any more: the next look is not put off, however long the last one took.
      if (ahead <= 0) lookAfter = -Infinity;
      wake?.(false);
    },
    sift() {
      spoilt = true;
    },
    idleMs: () => now() - turnedAt,
    async stop() {
      stopping.abort();
      wake?.(true);
      await done;
    },
  };
}
