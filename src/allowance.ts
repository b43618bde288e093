import { add, compare, negate, ZERO } from './amount.ts';
import type { Amount } from './amount.ts';
import type { Estimate } from './estimate.ts';
import { readBudget, readHeld } from './ledger/budget.ts';
import type { Queryable } from './ledger/database.ts';
import { told } from './money.ts';
import type { Money } from './money.ts';

/** What a budget leaves for rows that are not sent yet. */
export interface Allowance {
  budget: Money;
  /** Negative: more was spent. */
  left: Amount;
}

/** `asked`: the budget that a batch shall have, null for none; undefined: the one it has. Undefined: there is none. */
export async function restOf(
  db: Queryable,
  { batchId }: { batchId: number | null },
  asked: Money | null | undefined,
): Promise<Allowance | undefined> {
  const kept = batchId === null ? null : await readBudget(db, batchId);
  const budget = asked === undefined ? kept : asked;
  if (budget === null) return undefined;
  const held = batchId === null ? ZERO : await readHeld(db, batchId);
  return { budget, left: add(budget.amount, negate(held)) };
}

/** Whether the rows of the estimate cost more than is left, or may. */
export function exceeds({ totals }: Estimate, { budget, left }: Allowance): boolean {
  return totals.some(({ amount, currency }) => currency === budget.currency && compare(amount, left) > 0);
}

/** `100.00 CNY, of which 12.50 CNY is left` */
export function describeRest({ budget, left }: Allowance): string {
  return `${told(budget)}, of which ${told({ amount: left, currency: budget.currency })} is left`;
}
