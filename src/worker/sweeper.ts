import { messageOf } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import type { Again } from '../ledger/send/unknown-outcome.ts';
import { countHeld } from '../ledger/money/budget.ts';
import { addUpCounts } from '../ledger/row-counts.ts';
import { sweep } from '../ledger/send/sweep.ts';
import type { Logger } from '../core/log.ts';
import type { RememberedProfiles } from '../provider/profile/remembered.ts';

const SWEEP_MS = 5_000;

/** Which rows without an answer may be sent again; undefined: none. */
export async function againOf(
  origin: string,
  maxAttempts: number,
  profiles: Pick<RememberedProfiles, 'sameKeys'>,
): Promise<Again | undefined> {
  const sameKeys = await profiles.sameKeys();
  return sameKeys.size === 0 ? undefined : { origin, maxAttempts, sameKeys };
}

/** Every few seconds, moves rows whose attempt passed its deadline. Each worker does so. Returns a function that stops it. */
export function startSweeper(
  db: Database,
  log: Logger,
  mayGoAgain: () => Promise<Again | undefined>,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(async () => {
      try {
        const again = await mayGoAgain();
        const swept = await sweep(db, { again });
        if (swept > 0) {
          log.warn(
            { event: 'swept', rows: swept },
            `rows passed their deadline without an answer: ${again === undefined ? 'uncertain' : 'sent again under the same key, or uncertain'}`,
          );
        }
        await countHeld(db);
        await addUpCounts(db);
      } catch (error) {
        log.debug({ event: 'sweep-failed', error: messageOf(error) }, 'the sweep failed; trying again');
      }
    });
  }, SWEEP_MS);
  return async () => {
    clearInterval(timer);
    await running;
  };
}
