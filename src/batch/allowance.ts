import { add, compare, negate, ZERO } from '../core/money/amount.ts';
import type { Amount } from '../core/money/amount.ts';
import { usageError } from '../core/errors.ts';
import type { VidbatchError } from '../core/errors.ts';
import { cheapest, costOfGroup, estimate } from './estimate.ts';
import type { Group } from '../ledger/import/outline.ts';
import { readBudget, readHeld } from '../ledger/money/budget.ts';
import type { Queryable } from '../database/database.ts';
import { formatMoney } from '../core/money/money.ts';
import type { Money } from '../core/money/money.ts';
import type { Prices } from '../core/money/prices.ts';

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

/** How many of the rows to send are paid for by what is left. */
export type Fit = 'all' | 'some' | 'none';

export function fitOf(prices: Prices, groups: readonly Group[], { left }: Allowance): Fit {
  const { totals } = estimate(prices, groups);
  if (totals.every(({ amount }) => compare(amount, left) <= 0)) return 'all';
  const waiting = groups.filter(({ toSend }) => toSend > 0);
  const dear = (least: Money | undefined): boolean => least !== undefined && compare(least.amount, left) > 0;
  return waiting.every((group) => dear(cheapest(prices, group))) ? 'none' : 'some';
}

/** `100.00 CNY, of which 12.50 CNY is left` */
export function describeRest({ budget, left }: Allowance): string {
  return `${formatMoney(budget)}, of which ${formatMoney({ amount: left, currency: budget.currency })} is left`;
}

/**
 * Why a budget refuses the rows to send, as the producer would: nobody is asked about what cannot be. Undefined: it does
 * not.
 */
export function misfit(
  { batch, groups }: { batch: string; groups: readonly Group[] },
  prices: Prices,
  { budget: { currency } }: Allowance,
): VidbatchError | undefined {
  const costs = groups
    .filter(({ toSend }) => toSend > 0)
    .map((group) => ({ ...group, cost: costOfGroup(prices, group) }));
  const unknown = costs.filter(({ cost }) => cost === undefined);
  const has = `batch ${batch} has a budget in ${currency}, and`;
  if (unknown.length > 0) {
    const models = [...new Set(unknown.map(({ model }) => model))].join(', ');
    return usageError(
      'PRICE_UNKNOWN',
      `${has} nobody has said what ${models} costs; nothing was changed`,
      PRICE_HINT,
    );
  }
  const others = [...new Set(costs.flatMap(({ cost }) => cost?.currency ?? []))].filter(
    (one) => one !== currency,
  );
  if (others.length === 0) return undefined;
  return usageError(
    'OTHER_CURRENCY',
    `${has} rows of it cost ${others.join(' and ')}; nothing was changed`,
    CURRENCY_HINT,
  );
}

export const PRICE_HINT =
  '--prices names a file that says what each model costs; --budget none sends without a budget.';
export const CURRENCY_HINT =
  'Currencies are not converted: give the budget in the currency of the prices, or each its own batch.';
