import type { Group } from './ledger/outline.ts';
import type { Money } from './money.ts';
import { moneyJson, sums, told } from './money.ts';
import { costOf } from './prices.ts';
import type { Prices } from './prices.ts';

/** The most that the rows to send can cost. */
export interface Estimate {
  /** One sum for each currency, of the rows whose price is known. */
  totals: Money[];
  /** Rows whose price nobody has said. */
  unknown: number;
}

type Countable = Pick<Group, 'model' | 'toSend' | 'seconds'>;

/** Undefined: the price of the model is not known. */
export function costOfGroup(prices: Prices, { model, toSend, seconds }: Countable): Money | undefined {
  const price = prices.get(model);
  return price && costOf(price, { videos: toSend, seconds });
}

export function estimate(prices: Prices, groups: readonly Countable[]): Estimate {
  const costs = groups.map((group) => costOfGroup(prices, group));
  return {
    totals: sums(costs.filter((cost) => cost !== undefined)),
    unknown: groups.reduce((sum, { toSend }, i) => sum + (costs[i] === undefined ? toSend : 0), 0),
  };
}

/** `at most 12.50 CNY and 3.00 USD, and unknown for 4 rows` */
export function describeEstimate({ totals, unknown }: Estimate): string {
  const known = totals.map(told).join(' and ');
  if (unknown === 0) return known === '' ? 'nothing' : `at most ${known}`;
  const rows = unknown === 1 ? '1 row' : `${unknown.toLocaleString('en')} rows`;
  return `${known === '' ? '' : `at most ${known}, and `}unknown for ${rows}; --prices names a file that knows`;
}

export function estimateJson({ totals, unknown }: Estimate): Record<string, unknown> {
  return { totals: totals.map(moneyJson), unknownRows: unknown };
}
