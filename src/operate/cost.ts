import { compare, formatMoney, sums, ZERO, type Amount, type Money } from '../core/money/money.ts';
import type { Cost } from '../ledger/money/costs.ts';

/** One sum for each currency. Rows without a known price are in none. */
export function sumCosts(costs: readonly Cost[], of: (cost: Cost) => Amount): Money[] {
  return sums(
    costs.flatMap((cost) => (cost.currency === null ? [] : { currency: cost.currency, amount: of(cost) })),
  );
}

export function isSome({ amount }: Money): boolean {
  return compare(amount, ZERO) !== 0;
}

/** `12.50 CNY + 3.00 USD`, without sums of zero. Empty: there is no other. */
export function formatSums(money: readonly Money[], between = ' + '): string {
  return money.filter(isSome).map(formatMoney).join(between);
}

/** One amount of a cost. Empty: it is zero, or not known. */
export function formatPart({ currency }: Cost, amount: Amount | null): string {
  return amount === null || currency === null ? '' : formatSums([{ amount, currency }]);
}
