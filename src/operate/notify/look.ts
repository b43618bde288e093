import { transaction, type Database, type Session } from '../../database/database.ts';
import { readCosts } from '../../ledger/money/costs.ts';
import { awaitEnds, awaitVideos, fillNotice, readEndings } from '../../ledger/notify/endings.ts';
import { readNewUncertain } from '../../ledger/notify/new-uncertain.ts';
import { addNotice, endNotices, lockTarget, readLasting, type Lasting } from '../../ledger/notify/notices.ts';
import { readNumbers } from '../../ledger/read/batch-numbers.ts';
import { readCountedTrouble, type CountedTrouble } from '../../ledger/read/trouble.ts';
import {
  batchDone,
  lastingOf,
  noWorker,
  rowsUncertain,
  videosDone,
  type LastingMessage,
  type Message,
} from './message.ts';

export interface LookOptions {
  /** Uncertain rows of this time are told together. */
  settleMs: number;
  /** The least time between two notices of uncertain rows. */
  gapMs: number;
  /** `rowsWait`: whether rows wait for a worker now. Returns whether they have waited long enough to be told. */
  isMissing: (rowsWait: boolean) => boolean;
  /** Removes the API key from what is stored and sent. */
  redact: (text: string) => string;
}

/**
 * Looks for news and stores each as a notice, in one transaction under the lock of the target: of several processes with
 * the same URL, one looks at a time, and none stores what another has stored.
 */
export async function lookForNews(db: Database, target: string, options: LookOptions): Promise<void> {
  const store = (message: Message): string => options.redact(JSON.stringify(message));
  await transaction(db, async (session) => {
    if (!(await lockTarget(session, target))) return;
    await awaitEnds(session, target);
    for (const ending of await readEndings(session, target)) {
      const { event, batchId, batch, tasksOpen } = ending;
      const numbers = await readNumbers(session, batchId);
      const message =
        event === 'batch-done'
          ? batchDone(batch, numbers, await readCostsOf(session, batchId))
          : videosDone(batch, numbers);
      await fillNotice(session, ending, store(message));
      if (event === 'batch-done' && tasksOpen) await awaitVideos(session, target, batchId);
    }
    const trouble = await readCountedTrouble(session);
    const { begun, over } = compareLasting(
      trouble,
      await readLasting(session, target),
      options.isMissing(trouble.unfed.length > 0),
    );
    if (over.length > 0) await endNotices(session, over);
    for (const { event, subject, ...message } of begun)
      await addNotice(session, target, { event, subject, message: store({ event, ...message }) });
    const uncertain = await readNewUncertain(session, target, options);
    if (uncertain !== undefined) {
      const message = store(rowsUncertain(uncertain));
      await addNotice(session, target, { event: 'rows-uncertain', subject: '', message }, uncertain.until);
    }
  });
}

function readCostsOf(session: Session, batchId: number) {
  return readCosts(session, { batchId, since: null, by: [], zone: 'UTC' });
}

/** What begins to be told, and the notices whose event is over. `missing`: rows have waited long for a worker. */
function compareLasting(
  trouble: CountedTrouble,
  notices: readonly Lasting[],
  missing: boolean,
): { begun: LastingMessage[]; over: number[] } {
  const nameOf = ({ event, subject }: Pick<Lasting, 'event' | 'subject'>): string => `${event} ${subject}`;
  const known = new Set(notices.map(nameOf));
  const unfed = trouble.unfed.length > 0 ? [noWorker(trouble)] : [];
  const lasting = [...lastingOf(trouble), ...unfed];
  const names = new Set(lasting.map(nameOf));
  return {
    begun: lasting.filter((one) => !known.has(nameOf(one)) && (one.event !== 'no-worker' || missing)),
    over: notices.filter((notice) => !names.has(nameOf(notice))).map(({ id }) => id),
  };
}
