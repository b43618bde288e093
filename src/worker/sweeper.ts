import { messageOf } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import type { Again } from '../ledger/send/unknown-outcome.ts';
import { countHeld } from '../ledger/money/budget.ts';
import { sweep } from '../ledger/send/sweep.ts';
import type { Logger } from '../core/log.ts';
import type { SameKey } from '../core/retry-policy.ts';

const SWEEP_MS = 5_000;

/** Which rows without an answer may be sent again; undefined: none. */
export function againOf(
  origin: string,
  { sameKey, maxAttempts }: { sameKey?: SameKey | undefined; maxAttempts: number },
): Again | undefined {
  return sameKey === undefined ? undefined : { origin, maxAttempts, sameKey };
}

/** Every few seconds, moves rows whose attempt passed its deadline. Each worker does so. Returns a function that stops it. */
export function startSweeper(db: Database, log: Logger, again?: Again): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(async () => {
      try {
        const swept = await sweep(db, { again });
        if (swept > 0) {
          log.warn(
            { event: 'swept', rows: swept },
            `rows passed their deadline without an answer: ${again === undefined ? 'uncertain' : 'sent again under the same key, or uncertain'}`,
          );
        }
        await countHeld(db);
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
