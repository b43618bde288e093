import { isPaused, pauseBy, resumeBy } from '../ledger/operator/pause.ts';
import type { Database } from '../database/database.ts';
import { readBatchNames } from '../ledger/read/batch-numbers.ts';
import type { Pauses } from './writes.ts';

/** The pause button writes what `vidbatch pause` writes. `who` stands in the trail. */
export function pausesOf(db: Database, who: string): Pauses {
  return {
    async pause(batches) {
      if (batches === null) await pauseBy(db, who, undefined);
      else await pauseBy(db, who, await readBatchNames(db, batches));
      return undefined;
    },
    async resume(batches) {
      if (batches === null) {
        await resumeBy(db, who, undefined);
        return undefined;
      }
      if (await isPaused(db)) {
        return {
          status: 409,
          code: 'EVERYTHING_PAUSED',
          message: 'everything is paused, and this run with it: resume "all batches", or `vidbatch resume`',
        };
      }
      await resumeBy(db, who, await readBatchNames(db, batches));
      return undefined;
    },
  };
}
