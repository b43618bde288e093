import { logAccepted } from './row-log.ts';
import type { App } from './app.ts';
import { journalFolder } from './journal/journal.ts';
import { replayJournals, type Replayed } from './journal/replay.ts';
import { againOf } from './sweeper.ts';
import type { Config } from '../core/config.ts';
import type { Logger } from '../core/log.ts';
import { rememberedProfiles } from '../provider/profile/remembered.ts';
import { sendUnheardAgain } from '../ledger/send/unknown-outcome.ts';
import { requireTarget } from '../provider/target.ts';

/** `recalled`: this app has sent nothing since its last recall. `sent`: it has, so it reads its journal before it sends again. */
const state = new WeakMap<App, 'recalled' | 'sent'>();

/**
 * Brings the ledger up to date with earlier workers, before rows are planned and again before they are sent: it replays
 * their journals. Between the two, another worker can die with an answer in its journal, or the ledger can be restored
 * from a backup. So on a server each call reads the journals; those that the ledger knows cost one query. An embedded
 * folder is held by this process, which has read them. Rows of dead workers without an answer become pending again, but
 * only if the provider is known to honour the idempotency key.
 */
export async function recall(
  app: App,
  config: Config,
  { maxAttempts }: { maxAttempts: number },
  log: Logger,
): Promise<void> {
  const before = state.get(app);
  // Opening an embedded ledger replayed its journals, and no other process can have sent since.
  const isShared = app.replayed === undefined;
  if (before === 'recalled' && !isShared) return;
  if (before === undefined) logFound(app, log);
  if (before === 'sent' || isShared) {
    const folder = journalFolder(config.dataDir);
    logReplayed(await replayJournals(app.db, folder, app.ledgerId, (one) => logAccepted(log, one)), log);
  }
  const { baseUrl } = requireTarget(config);
  const again = await againOf(baseUrl, maxAttempts, rememberedProfiles(app.db, config));
  const rows = again === undefined ? 0 : await sendUnheardAgain(app.db, again);
  if (rows > 0)
    log.warn({ event: 'sent-again', rows }, 'rows without an answer are sent again, under the same key');
  state.set(app, 'recalled');
}

/** From now on, a worker of this app may write to a journal. */
export function beginsSending(app: App): void {
  state.set(app, 'sent');
}

/** Logs what was found when the app was opened: rows whose worker was gone, and what the journals knew about them. */
function logFound(app: App, log: Logger): void {
  if (app.replayed !== undefined) logReplayed(app.replayed, log);
  if (app.swept > 0) {
    log.warn(
      { event: 'swept', rows: app.swept },
      'rows had lost their worker: uncertain, and not sent again',
    );
  }
}

function logReplayed({ foreign, damaged, ...known }: Replayed, log: Logger): void {
  if (known.answers + known.restored + known.unmatched + known.neverSent > 0) {
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
