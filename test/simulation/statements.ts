/** In place of the SQL of `src/ledger/send/{blocked,claim,record,journal,unmatched-attempts,provider}.ts`: the same names, run by the model. */
import type * as reasons from '../../src/ledger/send/blocked.ts';
import type * as claims from '../../src/ledger/send/claim.ts';
import type * as journals from '../../src/ledger/send/journal.ts';
import type * as records from '../../src/ledger/send/record.ts';
import type { Connection } from './connection.ts';
import * as model from './ledger/model.ts';

/** A function of the model as a statement over a connection. */
function statement<Args extends readonly unknown[], T>(
  name: string,
  run: (ledger: model.ModelLedger, ...args: Args) => T,
): (db: unknown, ...args: Args) => Promise<T> {
  return (db, ...args) => (db as Connection).run(name, (ledger) => run(ledger, ...args));
}

export const claim: typeof claims.claim = statement('claim', model.claim);
export const claimAfter: typeof claims.claimAfter = statement('claim-after', model.claimAfter);
export const claimLocked: typeof claims.claimLocked = statement('claim-locked', model.claimLocked);
export const granted: typeof claims.granted = statement('granted', model.granted);
export const readBlocked: typeof reasons.readBlocked = statement('blocked', model.readBlocked);
export const record: typeof records.record = statement('record', model.record);
export const recordedBefore: typeof records.recordedBefore = statement('recorded', model.recordedBefore);
export const knownJournals: typeof journals.knownJournals = statement('journals', model.knownJournals);
export const rememberJournal: typeof journals.rememberJournal = statement('remember', model.rememberJournal);
export const unrecorded: typeof journals.unrecorded = statement('unrecorded', model.unrecorded);
export const unheard: typeof journals.unheard = statement('unheard', model.unheard);
export const lastSent: typeof journals.lastSent = statement('last-sent', model.lastSent);
export const confirmIntents: typeof journals.confirmIntents = statement('confirm', model.confirmIntents);
export const restoreAttempts: typeof journals.restoreAttempts = statement('restore', model.restoreAttempts);
export const sendUnheardAgain = statement('unheard-again', model.sendUnheardAgain);
export const sweep = statement('sweep', model.sweep);
export const armProbe = statement('arm-probe', model.armProbe);
export const ensureProvider = statement('provider', () => undefined);
export const keepUnmatched = statement('unmatched', () => undefined);
export const adoptAllUnmatched = statement('unmatched-adopted', () => 0);
export const keepUnmatchedAnswer = statement('unmatched-answer', () => false);
