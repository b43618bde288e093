export { setBudget } from './budget.ts';
export { sendUnheardAgain } from './doubt.ts';
export { claim, claimAfter, claimLocked, granted, placeOf, readBlocked } from './claim.ts';
export {
  confirmIntents,
  knownJournals,
  lastSent,
  rememberJournal,
  restoreAttempts,
  unheard,
  unrecorded,
} from './journal.ts';
export { armProbe, restartCounts, cancel, edit, pause, resolve, resume, retry } from './operator.ts';
export { record, recordedBefore } from './record.ts';
export { ModelLedger } from './state.ts';
export { sweep } from './sweep.ts';
