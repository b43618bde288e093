import type { Amount } from './amount.ts';
import { add, formatAmount, parseAmount, ZERO } from './amount.ts';

/** Currencies are never converted. */
export interface Money {
  amount: Amount;
  /** In capitals: `CNY`. */
  currency: string;
}

export const CURRENCY = /^[A-Z]{3,10}$/;

/** `120CNY`, `99.50 usd`; undefined for anything else. */
export function parseMoney(text: string): Money | undefined {
  const match = /^(.*[\d.])\s*([a-z]+)$/is.exec(text.trim());
  const amount = parseAmount(match?.[1] ?? '');
  const currency = match?.[2]?.toUpperCase() ?? '';
  return amount === undefined || !CURRENCY.test(currency) ? undefined : { amount, currency };
}

/** One sum for each currency, in the order of their names. */
export function sums(of: Iterable<Money>): Money[] {
  const totals = new Map<string, Amount>();
  for (const { amount, currency } of of) totals.set(currency, add(totals.get(currency) ?? ZERO, amount));
  return [...totals]
    .map(([currency, amount]) => ({ amount, currency }))
    .toSorted((a, b) => (a.currency < b.currency ? -1 : 1));
}

/** For people: `1,234.50 CNY`, with at least two places and as many as there are. */
export function formatMoney({ amount, currency }: Money): string {
  const [whole = '', part = ''] = formatAmount(amount, 2).split('.');
  return `${whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')}.${part} ${currency}`;
}

/** For programs: the amount as text. */
export function moneyJson({ amount, currency }: Money): { amount: string; currency: string } {
  return { amount: formatAmount(amount), currency };
}
