import { hostname } from 'node:os';
import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import type { Logger } from '../core/log.ts';
import { VERSION } from '../core/version.ts';
import { BEAT_MS, forgetWorker, sayAlive, type WorkerFacts, type WorkerPulse } from '../ledger/workers.ts';

export interface Heartbeat {
  /** Stores at once what has changed, such as that the worker takes no more rows. */
  beat(): Promise<void>;
  /** Removes the worker from the ledger. */
  stop(): Promise<void>;
}

/** The rate, in rows a second, is counted over this many beats. */
const RATED_BEATS = 5;

/** Stores every second that the worker is alive. It continues while the ledger is away: the next beat may reach the ledger. */
export function startHeartbeat(
  db: Database,
  worker: Omit<WorkerFacts, 'host' | 'pid' | 'version'>,
  read: () => Omit<WorkerPulse, 'perSecond'>,
  log: Logger,
): Heartbeat {
  const facts = { ...worker, host: hostname(), pid: process.pid, version: VERSION };
  const last = [{ at: performance.now(), recorded: 0 }];
  let turn: Promise<void> = Promise.resolve();
  let turns = 0;

  async function sayOnce(): Promise<void> {
    const now = { at: performance.now(), recorded: read().recorded };
    const [first = now] = last;
    const seconds = (now.at - first.at) / 1000;
    const perSecond = seconds > 0 ? (now.recorded - first.recorded) / seconds : 0;
    if (last.push(now) > RATED_BEATS) last.shift();
    await sayAlive(db, facts, { ...read(), perSecond });
  }

  function then(act: () => Promise<void>): Promise<void> {
    turns += 1;
    turn = turn
      .then(act)
      .catch((error: unknown) => {
        log[isOutage(error) ? 'debug' : 'warn']({ event: 'heartbeat-failed', error: messageOf(error) });
      })
      .finally(() => (turns -= 1));
    return turn;
  }

  void then(sayOnce);
  const timer = setInterval(() => {
    // While the ledger does not answer, no beats wait for it.
    if (turns === 0) void then(sayOnce);
  }, BEAT_MS);
  return {
    beat: () => then(sayOnce),
    async stop() {
      clearInterval(timer);
      await then(() => forgetWorker(db, worker.id));
    },
  };
}
