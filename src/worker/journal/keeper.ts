import { messageOf } from '../../core/errors.ts';
import type { Journal } from './journal.ts';
import type { Logger } from '../../core/log.ts';
import { crashPoint } from '../../core/crash-points.ts';
import type { SubmitPorts } from '../submit.ts';

/** A worker's journal. Failures are logged, and not thrown. */
export interface JournalKeeper {
  /** Whether there is room for all rows that may be in flight. Without it, nothing may be claimed. */
  hasRoom(): Promise<boolean>;
  /** Whether `hasRoom` was last false. */
  isFull(): boolean;
  written: SubmitPorts['journal'];
}

export function keepJournal(journal: Journal, log: Logger): JournalKeeper {
  let full = false;

  function failed(error: unknown): false {
    log.error({ event: 'journal-failed', error: messageOf(error) }, 'the journal could not be written');
    return false;
  }

  return {
    isFull: () => full,
    async hasRoom() {
      try {
        await journal.ready();
        full = false;
        return true;
      } catch (error) {
        if (!full)
          log.error(
            { event: 'journal-full', error: messageOf(error) },
            'no room for the journal: nothing is sent',
          );
        full = true;
        return false;
      }
    },
    written: {
      async intend(claim) {
        const intended = await journal.intend(claim).then(() => true, failed);
        crashPoint('intended');
        return intended;
      },
      async answer(claim, outcome) {
        crashPoint('answered');
        const written = await journal.answer(claim, outcome).then(() => true, failed);
        crashPoint('answer-journaled', written && outcome.kind === 'accepted' ? outcome.taskId : undefined);
      },
    },
  };
}
