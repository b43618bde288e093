import type { Group } from '../ledger/import/outline.ts';
import {
  moneyJson,
  sums,
  formatMoney,
  add,
  compare,
  negate,
  ZERO,
  type Money,
  type Amount,
} from '../core/money/money.ts';
import { costOf, type Prices } from '../core/money/prices.ts';
import { plural } from '../core/units.ts';
import { usageError, type VidbatchError } from '../core/errors.ts';
import { readBudget, readHeld } from '../ledger/money/budget.ts';
import type { Queryable } from '../database/database.ts';

/** The most that the rows to send can cost. */
export interface Estimate {
  /** One sum for each currency, of the rows whose price is known. */
  totals: Money[];
  /** Rows whose price is not known. */
  unknown: number;
}

type Priceable = Pick<Group, 'model' | 'shortest' | 'least'>;
type Countable = Pick<Group, 'model' | 'toSend' | 'seconds'> & Partial<Pick<Group, 'stored'>>;

/** By the price file, or else by what the group knows. Undefined: the price of some rows is not known. */
export function costOfGroup(prices: Prices, group: Countable): Money | undefined {
  const { cost, rows } = known(prices, group);
  return rows === group.toSend ? cost : undefined;
}

/** What the cheapest of its rows costs; undefined: its price is not known. */
function cheapest(prices: Prices, { model, shortest, least }: Priceable): Money | undefined {
  const price = prices.get(model);
  return price === undefined ? (least ?? undefined) : costOf(price, { videos: 1, seconds: shortest });
}

/** The number of rows whose price is known, and what they cost. */
function known(prices: Prices, group: Countable): { rows: number; cost: Money | undefined } {
  const { model, toSend, seconds, stored } = group;
  const price = prices.get(model);
  return price === undefined
    ? { rows: stored?.rows ?? 0, cost: stored?.cost }
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
export function formatEstimate({ totals, unknown }: Estimate, prices?: Prices): string {
  const known = totals.map(formatMoney).join(' and ');
  if (unknown === 0) return known === '' ? 'nothing' : `at most ${known}`;
  const hint =
    prices === undefined || prices.size === 0
      ? '--prices FILE gives the prices'
      : 'the price file does not name their models';
  return `${known === '' ? '' : `at most ${known}, and `}unknown for ${plural(unknown, 'row')}; ${hint}`;
}

export function estimateJson({ totals, unknown }: Estimate): Record<string, unknown> {
  return { totals: totals.map(moneyJson), unknownRows: unknown };
}

/** The part of a budget that remains for rows that are not sent yet. */
export interface Allowance {
  budget: Money;
  /** Negative: more was spent. */
  left: Amount;
}

/** `asked`: the new budget, or null for none; undefined: the present one. Returns undefined without a budget. */
export async function readAllowance(
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

/** How many of the rows to send the remaining budget pays for. */
type Fit = 'all' | 'some' | 'none';

export function fitOf(prices: Prices, groups: readonly Group[], { left }: Allowance): Fit {
  const { totals } = estimate(prices, groups);
  if (totals.every(({ amount }) => compare(amount, left) <= 0)) return 'all';
  const waiting = groups.filter(({ toSend }) => toSend > 0);
  const dear = (least: Money | undefined): boolean => least !== undefined && compare(least.amount, left) > 0;
  return waiting.every((group) => dear(cheapest(prices, group))) ? 'none' : 'some';
}

/** `100.00 CNY, 12.50 CNY left` */
export function formatAllowance({ budget, left }: Allowance): string {
  return `${formatMoney(budget)}, ${formatMoney({ amount: left, currency: budget.currency })} left`;
}

/** Refuses rows to send that a budget in this currency cannot hold, before a person is asked about them. */
export function refuseBudget(
  { batch, groups }: { batch: string; groups: readonly Group[] },
  prices: Prices,
  currency: string,
): VidbatchError | undefined {
  const costs = groups
    .filter(({ toSend }) => toSend > 0)
    .map((group) => ({ model: group.model, cost: costOfGroup(prices, group) }));
  const unpriced = costs.filter(({ cost }) => cost === undefined).map(({ model }) => model);
  const others = costs.flatMap(({ cost }) => cost?.currency ?? []).filter((one) => one !== currency);
  const has = `batch ${batch} has a budget in ${currency}, and`;
  if (unpriced.length > 0)
    return usageError(
      'PRICE_UNKNOWN',
      `${has} the price of ${[...new Set(unpriced)].join(', ')} is not known; nothing was changed`,
      PRICE_HINT,
    );
  if (others.length === 0) return undefined;
  return usageError(
    'OTHER_CURRENCY',
    `${has} rows of it cost ${[...new Set(others)].join(' and ')}; nothing was changed`,
    CURRENCY_HINT,
  );
}

export const PRICE_HINT =
  '--prices names a file that says what each model costs; --budget none sends without a budget.';
export const CURRENCY_HINT =
  'Currencies are not converted: give the budget in the currency of the prices, or make one batch for each currency.';
