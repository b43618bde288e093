import { hostname } from 'node:os';
import { isOutage } from '../database/connection-errors.ts';
import { messageOf } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import type { Logger } from '../core/log.ts';
import { VERSION } from '../core/version.ts';
import { forgetWorker, sayAlive } from '../ledger/workers.ts';
import type { WorkerFacts, WorkerPulse } from '../ledger/workers.ts';

export interface Heartbeat {
  /** Stores at once what has changed, such as that the worker takes no more rows. */
  beat(): Promise<void>;
  /** Removes the worker from the ledger. */
  stop(): Promise<void>;
}

const BEAT_MS = 5_000;

/** Stores every few seconds that the worker is alive. Without the ledger it continues: the next beat may reach it. */
export function startHeartbeat(
  db: Database,
  worker: Omit<WorkerFacts, 'host' | 'pid' | 'version'>,
  read: () => Omit<WorkerPulse, 'perSecond'>,
  log: Logger,
): Heartbeat {
  const facts = { ...worker, host: hostname(), pid: process.pid, version: VERSION };
  let last = { at: performance.now(), recorded: 0 };
  let turn: Promise<void> = Promise.resolve();

  async function sayOnce(): Promise<void> {
    const now = { at: performance.now(), recorded: read().recorded };
    const seconds = (now.at - last.at) / 1000;
    const perSecond = seconds > 0 ? (now.recorded - last.recorded) / seconds : 0;
    last = now;
    await sayAlive(db, facts, { ...read(), perSecond });
  }

  function then(act: () => Promise<void>): Promise<void> {
    turn = turn.then(act).catch((error: unknown) => {
      log[isOutage(error) ? 'debug' : 'warn']({ event: 'heartbeat-failed', error: messageOf(error) });
    });
    return turn;
  }

  void then(sayOnce);
  const timer = setInterval(() => void then(sayOnce), BEAT_MS);
  return {
    beat: () => then(sayOnce),
    async stop() {
      clearInterval(timer);
      await then(() => forgetWorker(db, worker.id));
    },
  };
}
