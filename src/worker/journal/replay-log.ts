import type { App } from '../app.ts';
import type { Logger } from '../../core/log.ts';
import type { Replayed } from './replay.ts';

/** Says what was found when the app was opened: rows that had lost their worker, and what the journals knew of them. */
export function tellFound(app: App, log: Logger): void {
  if (app.replayed !== undefined) tellReplayed(app.replayed, log);
  if (app.swept > 0) {
    log.warn(
      { event: 'swept', rows: app.swept },
      'rows had lost their worker: uncertain, and not sent again',
    );
  }
}

/** What the journals of workers that are gone have told. */
export function tellReplayed({ foreign, damaged, ...known }: Replayed, log: Logger): void {
  if (known.answers + known.restored + known.orphans + known.neverSent > 0) {
    log.warn({ event: 'replayed', ...known }, 'the journals of earlier workers knew more than the ledger');
  }
  if (damaged.length > 0) {
    log.warn(
      { event: 'damaged-journals', damaged },
      'these journals are torn, or older than the ledger: rows that were in flight stay uncertain',
    );
  }
  if (foreign.length > 0) {
    log.info(
      { event: 'foreign-journals', foreign },
      'these journals belong to another ledger: kept, not read',
    );
  }
}
