import type { Group } from '../ledger/import/outline.ts';
import type { Money } from '../core/money/money.ts';
import { moneyJson, sums, formatMoney } from '../core/money/money.ts';
import { costOf } from '../core/money/prices.ts';
import type { Prices } from '../core/money/prices.ts';

/** The most that the rows to send can cost. */
export interface Estimate {
  /** One sum for each currency, of the rows whose price is known. */
  totals: Money[];
  /** Rows whose price nobody has said. */
  unknown: number;
}

type Priceable = Pick<Group, 'model' | 'shortest' | 'least'>;
type Countable = Pick<Group, 'model' | 'toSend' | 'seconds'> & Partial<Pick<Group, 'stored'>>;

/** Without a price file, what the ledger has goes. Undefined: the price of the model, or of some of its rows, is not known. */
export function costOfGroup(prices: Prices, group: Countable): Money | undefined {
  const { cost, rows } = known(prices, group);
  return rows === group.toSend ? cost : undefined;
}

/** What the cheapest of its rows costs; undefined: nobody has said. */
export function cheapest(prices: Prices, { model, shortest, least }: Priceable): Money | undefined {
  if (prices.size === 0) return least ?? undefined;
  const price = prices.get(model);
  return price === undefined ? undefined : costOf(price, { videos: 1, seconds: shortest });
}

/** Of how many rows the price is known, and what they cost. */
function known(prices: Prices, group: Countable): { rows: number; cost: Money | undefined } {
  const { model, toSend, seconds, stored } = group;
  if (prices.size === 0) return { rows: stored?.rows ?? 0, cost: stored?.cost };
  const price = prices.get(model);
  return price === undefined
    ? { rows: 0, cost: undefined }
    : { rows: toSend, cost: costOf(price, { videos: toSend, seconds }) };
}

export function estimate(prices: Prices, groups: readonly Countable[]): Estimate {
  const seen = groups.map((group) => ({ ...known(prices, group), toSend: group.toSend }));
  return {
    totals: sums(seen.flatMap(({ cost }) => cost ?? [])),
    unknown: seen.reduce((sum, { toSend, rows }) => sum + toSend - rows, 0),
  };
}

/** `at most 12.50 CNY and 3.00 USD, and unknown for 4 rows; …`. `prices`: those that were named. */
export function describeEstimate({ totals, unknown }: Estimate, prices?: Prices): string {
  const known = totals.map(formatMoney).join(' and ');
  if (unknown === 0) return known === '' ? 'nothing' : `at most ${known}`;
  const rows = unknown === 1 ? '1 row' : `${unknown.toLocaleString('en')} rows`;
  const hint =
    prices === undefined || prices.size === 0
      ? '--prices FILE gives the prices'
      : 'the price file does not name their models';
  return `${known === '' ? '' : `at most ${known}, and `}unknown for ${rows}; ${hint}`;
}

export function estimateJson({ totals, unknown }: Estimate): Record<string, unknown> {
  return { totals: totals.map(moneyJson), unknownRows: unknown };
}
