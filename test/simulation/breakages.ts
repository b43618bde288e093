import { MUTATIONS, type Mutation } from '../mutation/mutations.ts';
import type { Slip } from './ledger/state.ts';

/** One guard taken out of the program's source, or of the model of its SQL. */
export type Breakage = { mutation: Mutation } | { slip: Slip };

/** What the simulation has to notice, each alone. */
export const BREAKAGES: Record<string, Breakage> = {
  'a claim that does not compare': { slip: 'claim-without-compare' },
  'a record that goes to the row, not to the attempt': { slip: 'record-by-row' },
  'a record that drops late answers': { slip: 'record-drops-late-answers' },
  'an unknown that is sent again': { slip: 'uncertain-is-sent-again' },
  'a sweeper that does not wait for the deadline': { slip: 'sweep-before-the-deadline' },
  'a restored ledger that does not take back what was sent': { slip: 'restore-revives-paid-rows' },
  'a restored attempt that decides a pending row only': { slip: 'restore-moves-pending-rows-only' },
  'a replay that looks for the deciding attempt of a row only': {
    slip: 'unheard-asks-for-the-deciding-attempt-only',
  },
  'a wish that is claimed again after it was judged': { slip: 'attempt-made-twice' },
  'a claim that its budget does not pay for': { slip: 'claim-over-the-budget' },
  'a sender that sends what is stale': { mutation: MUTATIONS['stale-sender-sends'] },
  'a journal without answers': { mutation: MUTATIONS['journal-without-answers'] },
  'a journal that does not flush': {
    mutation: {
      file: 'worker/journal/journal.ts',
      from: 'await write(lines);\n    await file.datasync();',
      to: 'await write(lines);',
      breaks: 'what was journaled is gone with the power',
    },
  },
  'a journal without intents': {
    mutation: {
      file: 'worker/submit.ts',
      from: 'const intended = await ports.journal.intend(claim);',
      to: 'const intended = await Promise.resolve(true);',
      breaks: 'an attempt that left is taken for one that never did',
    },
  },
  'a ledger writer that does not ask what it was granted': {
    mutation: {
      file: 'worker/ledger-writer.ts',
      from: 'return [...fresh, ...before];',
      to: 'return before.slice(before.length).concat(fresh);',
      breaks: 'a claim whose answer was lost is forgotten by the worker that holds it',
    },
  },
  'readers of journals that do not wait for each other': {
    mutation: {
      file: 'worker/journal/replay.ts',
      from: 'if (lock !== undefined) return lock;',
      to: 'return lock ?? { release: () => undefined };',
      breaks: 'a worker sends rows while another is still reading that they were sent',
    },
  },
};
