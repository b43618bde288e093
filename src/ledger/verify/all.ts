import { ATTEMPT_INVARIANTS } from './attempts.ts';
import { BUDGET_INVARIANTS } from './budgets.ts';
import { GATE_INVARIANTS } from './gates.ts';
import type { Invariant } from './invariant.ts';
import { PAYMENT_INVARIANTS } from './payments.ts';
import { POLL_INVARIANTS } from './polls.ts';
import { STATE_INVARIANTS } from './states.ts';

/** What a look at the ledger alone can tell, money first. */
export const INVARIANTS: readonly Invariant[] = [
  ...PAYMENT_INVARIANTS,
  ...BUDGET_INVARIANTS,
  ...ATTEMPT_INVARIANTS,
  ...STATE_INVARIANTS,
  ...POLL_INVARIANTS,
  ...GATE_INVARIANTS,
];
