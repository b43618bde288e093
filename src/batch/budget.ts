import { usageError, type VidbatchError } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import {
  compare,
  formatAmount,
  formatMoney,
  negate,
  parseMoney,
  ZERO,
  type Amount,
  type Money,
} from '../core/money/money.ts';
import { readPrices, type Prices } from '../core/money/prices.ts';
import { excerpt, quoted } from '../core/text.ts';
import { formatCount, plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import { logEvent, type Batch } from '../ledger/batches.ts';
import {
  findMisfit,
  readBudget,
  recount,
  setBudget,
  type BudgetStatus,
  type Misfit,
} from '../ledger/money/budget.ts';
import { CURRENCY_HINT, PRICE_HINT } from './estimate.ts';

/** `name`: of the flag or the field. `null` removes the budget. @throws VidbatchError exit 2 for what is no amount. */
export function parseBudget(name: string, text: string): Money | null {
  if (text.trim().toLowerCase() === 'none') return null;
  const money = parseMoney(text);
  if (money !== undefined && compare(money.amount, ZERO) >= 0) return money;
  throw usageError(
    'BAD_BUDGET',
    `${name}: ${excerpt(text)} is not an amount of 0 or more with its currency, such as 120CNY or 99.50USD, or none`,
  );
}

/** Prices and budget from the flags. @throws VidbatchError exit 2 when one of them is wrong. */
export async function costOptions(flags: {
  prices?: string;
  budget?: string;
}): Promise<{ prices?: Prices; budget?: Money | null }> {
  const budget = flags.budget === undefined ? undefined : parseBudget('--budget', flags.budget);
  const prices = flags.prices === undefined ? undefined : await readPrices(flags.prices);
  return defined({ prices, budget });
}

/**
 * Sets the budget of a batch, if one is given. Otherwise checks the new rows of the manifest against the present
 * budget. A budget that is less than what was spent stops all sending. `who`: for the event log.
 * @throws VidbatchError exit 2 when the price of a row is not known, or is in another currency.
 */
export async function putBudget(
  db: Queryable,
  { id, name }: Pick<Batch, 'id' | 'name'>,
  asked: Money | null | undefined,
  who?: string,
): Promise<void> {
  const before = await readBudget(db, id);
  const budget = asked === undefined ? before : asked;
  const misfit = budget === null ? undefined : await findMisfit(db, id, budget.currency);
  if (budget !== null && misfit !== undefined) throw budgetRefusal(name, budget.currency, misfit);
  if (asked !== undefined && !isSame(asked, before)) {
    const words = (money: Money | null): string => (money === null ? 'none' : formatMoney(money));
    await setBudget(db, id, asked);
    await logEvent(db, 'budget', `${words(before)} → ${words(asked)}`, id, who);
  }
  if (before !== null) await recount(db, id);
}

function isSame(a: Money | null, b: Money | null): boolean {
  if (a === null || b === null) return a === b;
  return a.currency === b.currency && compare(a.amount, b.amount) === 0;
}

/** Why a row cannot be under a budget in this currency. */
export function budgetRefusal(
  name: string,
  currency: string,
  { rows, key, line, model, currency: other }: Misfit,
): VidbatchError {
  const more = rows === 1 ? '' : ` (${formatCount(rows - 1)} more rows have this problem)`;
  const which = `batch ${name} has a budget in ${currency}, and row ${key} (line ${line}, ${model})`;
  return other === null
    ? usageError('PRICE_UNKNOWN', `${which} has no known price${more}; nothing was changed`, PRICE_HINT)
    : usageError('OTHER_CURRENCY', `${which} costs ${other}${more}; nothing was changed`, CURRENCY_HINT);
}

/** For `--json`: amounts are text. */
export interface BudgetJson {
  currency: string;
  budget: string;
  spent: string;
  reserved: string;
  /** Negative: more was spent. */
  left: string;
  /** Pending rows that the remaining budget does not pay for, even if the cheapest rows are sent first. */
  beyond: number;
  /** One line for people. */
  told: string;
}

export function budgetJson(status: BudgetStatus): BudgetJson {
  const { currency, budget, spent, reserved, left, beyond } = status;
  return {
    currency,
    budget: formatAmount(budget),
    spent: formatAmount(spent),
    reserved: formatAmount(reserved),
    left: formatAmount(left),
    beyond,
    told: formatBudget(status),
  };
}

export function isOverspent({ left }: Pick<BudgetJson, 'left'>): boolean {
  return left.startsWith('-');
}

/** `1200.00CNY`: as a person types it. */
export function formatPlain(money: Money): string {
  return formatMoney(money).replaceAll(/[ ,]/g, '');
}

/** How to raise the budget. `status`: with the sum that pays for all waiting rows. */
export function raiseHint(
  { name, source }: Pick<Batch, 'name' | 'source'>,
  status?: Pick<BudgetStatus, 'needed' | 'currency'>,
): string {
  const sum = status && formatPlain({ amount: status.needed, currency: status.currency });
  if (source === '-')
    return `submit it again with a higher --budget${sum === undefined ? '' : `, up to ${sum}`}`;
  const command = `vidbatch run ${quoted(source)} --batch ${quoted(name)} --budget`;
  return sum === undefined
    ? `\`${command} …\`, or \`submit\`, with a higher budget continues the batch`
    : `\`${command} ${sum}\`, or \`submit\`, pays for all of them`;
}

/** What rows without a known price need: a higher budget would not help them. */
export function priceHint({ name, source }: Pick<Batch, 'name' | 'source'>): string {
  return source === '-'
    ? 'submit it again with --prices'
    : `\`vidbatch submit ${quoted(source)} --batch ${quoted(name)} --prices …\` says what they cost`;
}

/** One line for people. */
export function formatBudget(status: BudgetStatus): string {
  const { budget, spent, reserved, left, beyond, unpriced, reached, currency } = status;
  const money = (amount: Amount): string => formatMoney({ amount, currency });
  const priced = beyond - unpriced;
  return [
    `${money(budget)}: ${money(spent)} spent`,
    `${money(reserved)} held`,
    compare(left, ZERO) < 0 ? `${money(negate(left))} MORE than the budget` : `${money(left)} left`,
    ...(priced === 0
      ? []
      : [`${reached ? '' : 'at least '}${plural(priced, 'row')} ${priced === 1 ? 'does' : 'do'} not fit`]),
    ...(unpriced === 0 ? [] : [formatUnpriced(unpriced)]),
  ].join(' · ');
}

export function formatUnpriced(rows: number): string {
  return `${plural(rows, 'row')} ${rows === 1 ? 'has' : 'have'} no known price`;
}
