import { tellAccepted } from './accepted.ts';
import type { App } from './app.ts';
import { journalFolder } from './journal/journal.ts';
import { replayJournals } from './journal/replay.ts';
import { tellFound, tellReplayed } from './journal/replay-log.ts';
import { againOf } from './sweeper.ts';
import { requireProvider } from '../core/config.ts';
import type { Config } from '../core/config.ts';
import type { Logger } from '../core/log.ts';
import { sameKeyOf } from '../core/retry.ts';
import { sendUnheardAgain } from '../ledger/send/doubt.ts';

/** `recalled`: this app has sent nothing since the last recall. `sent`: it has, so its journal is read before it sends again. */
const state = new WeakMap<App, 'recalled' | 'sent'>();

/**
 * Brings the ledger up to date with earlier workers, before rows are planned and again before they are sent. It replays
 * their journals. A person may think about a plan for long: meanwhile another worker can die with an answer in its
 * journal, or the ledger can be restored from a backup. So on a server each call reads the journals; those that the ledger
 * knows cost one question. An embedded folder is held by this process, which has read them. Rows without an answer from a dead worker become pending again, but only if the provider is
 * known to honour the idempotency key. The sweeper takes back the rows that it judges itself.
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
  if (before === undefined) tellFound(app, log);
  if (before === 'sent' || isShared) {
    const folder = journalFolder(config.dataDir);
    tellReplayed(await replayJournals(app.db, folder, app.ledgerId, (one) => tellAccepted(log, one)), log);
  }
  const again = againOf(requireProvider(config).baseUrl, { sameKey: sameKeyOf(config), maxAttempts });
  const rows = again === undefined ? 0 : await sendUnheardAgain(app.db, again);
  if (rows > 0)
    log.warn({ event: 'sent-again', rows }, 'rows without an answer are sent again, under the same key');
  state.set(app, 'recalled');
}

/** From now on, a worker of this app may write to a journal. */
export function beginsSending(app: App): void {
  state.set(app, 'sent');
}
