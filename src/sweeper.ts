import { messageOf } from './errors.ts';
import type { Database } from './ledger/database.ts';
import { sweep } from './ledger/sweep.ts';
import type { Logger } from './log.ts';

const SWEEP_MS = 5_000;

/** Judges attempts past their deadline, every few seconds, in every worker. Returns how to stop it. */
export function startSweeper(db: Database, log: Logger): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(async () => {
      try {
        const swept = await sweep(db);
        if (swept > 0) {
          log.warn(
            { event: 'swept', rows: swept },
            'rows passed their deadline without an answer: uncertain',
          );
        }
      } catch (error) {
        log.debug({ event: 'sweep-failed', error: messageOf(error) }, 'sweep failed; the next one will tell');
      }
    });
  }, SWEEP_MS);
  return async () => {
    clearInterval(timer);
    await running;
  };
}
