import { CURRENCY_HINT, PRICE_HINT } from './allowance.ts';
import { compare, formatAmount, ZERO } from '../core/money/amount.ts';
import { usageError } from '../core/errors.ts';
import type { VidbatchError } from '../core/errors.ts';
import { excerpt } from '../core/excerpt.ts';
import { logEvent } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { findMisfit, readBudget, recount, setBudget } from '../ledger/money/budget.ts';
import type { BudgetStatus, Misfit } from '../ledger/money/budget.ts';
import type { Queryable } from '../database/database.ts';
import { parseMoney, formatMoney } from '../core/money/money.ts';
import type { Money } from '../core/money/money.ts';
import { readPrices } from '../core/money/prices.ts';
import type { Prices } from '../core/money/prices.ts';
import { quoted } from '../core/shell-word.ts';

/** `null`: none any more. Undefined: nothing was said of it. */
function parseBudget(text: string | undefined): Money | null | undefined {
  if (text === undefined) return undefined;
  if (text.trim().toLowerCase() === 'none') return null;
  const money = parseMoney(text);
  if (money !== undefined && compare(money.amount, ZERO) >= 0) return money;
  throw usageError(
    'BAD_BUDGET',
    `--budget: ${excerpt(text)} is not an amount of 0 or more with its currency, such as 120CNY or 99.50USD, or none`,
  );
}

/** What rows cost and may cost, as flags say it. @throws VidbatchError exit 2 when they say nothing sensible. */
export async function costOptions(flags: {
  prices?: string;
  budget?: string;
}): Promise<{ prices?: Prices; budget?: Money | null }> {
  const budget = parseBudget(flags.budget);
  return {
    ...(flags.prices === undefined ? {} : { prices: await readPrices(flags.prices) }),
    ...(budget === undefined ? {} : { budget }),
  };
}

/**
 * Gives a batch its budget, or holds what it has against the manifest's new rows, before anything of them is sent. It
 * may be less than what is spent: then nothing more is sent.
 * @throws VidbatchError exit 2 when the price of a row is not known, or is in another currency.
 */
export async function putBudget(
  db: Queryable,
  batch: Pick<Batch, 'id' | 'name'>,
  asked: Money | null | undefined,
): Promise<void> {
  const before = await readBudget(db, batch.id);
  const budget = asked === undefined ? before : asked;
  if (budget !== null) await checkPrices(db, batch, budget);
  if (asked !== undefined && !isSame(asked, before)) {
    await setBudget(db, batch.id, asked);
    await logEvent(
      db,
      'budget',
      `${before === null ? 'none' : formatMoney(before)} → ${asked === null ? 'none' : formatMoney(asked)}`,
      batch.id,
    );
  }
  if (before !== null) await recount(db, batch.id);
}

function isSame(a: Money | null, b: Money | null): boolean {
  if (a === null || b === null) return a === b;
  return a.currency === b.currency && compare(a.amount, b.amount) === 0;
}

async function checkPrices(
  db: Queryable,
  { id, name }: Pick<Batch, 'id' | 'name'>,
  { currency }: Money,
): Promise<void> {
  const misfit = await findMisfit(db, id, currency);
  if (misfit !== undefined) throw misfitting(name, currency, misfit);
}

/** Why a row cannot be under a budget in this currency. */
export function misfitting(name: string, currency: string, misfit: Misfit): VidbatchError {
  const { rows, key, line, model } = misfit;
  const more = rows === 1 ? '' : `, and so it is with ${(rows - 1).toLocaleString('en')} more rows`;
  const which = `batch ${name} has a budget in ${currency}, and row ${key} (line ${line}, ${model})`;
  return misfit.currency === null
    ? usageError('PRICE_UNKNOWN', `${which} has no known price${more}; nothing was changed`, PRICE_HINT)
    : usageError(
        'OTHER_CURRENCY',
        `${which} costs ${misfit.currency}${more}; nothing was changed`,
        CURRENCY_HINT,
      );
}

/** As `--json` shows it: amounts are text. */
export interface PurseJson {
  currency: string;
  budget: string;
  spent: string;
  reserved: string;
  /** Negative: more was spent. */
  left: string;
  /** Pending rows that the rest does not pay for, even if the cheapest go first. */
  beyond: number;
  /** One line for people. */
  told: string;
}

export function purseJson(purse: BudgetStatus): PurseJson {
  const { currency, budget, spent, reserved, left, beyond } = purse;
  return {
    currency,
    budget: formatAmount(budget),
    spent: formatAmount(spent),
    reserved: formatAmount(reserved),
    left: formatAmount(left),
    beyond,
    told: describePurse(purse),
  };
}

export function isOverspent({ left }: Pick<PurseJson, 'left'>): boolean {
  return left.startsWith('-');
}

/** What `--budget` asks a person to do; `purse`: with the sum that pays for all that waits. */
export function raiseHint(
  batch: Pick<Batch, 'name' | 'source'>,
  purse?: Pick<BudgetStatus, 'needed' | 'currency'>,
): string {
  const sum =
    purse && formatMoney({ amount: purse.needed, currency: purse.currency }).replaceAll(/[ ,]/g, '');
  if (batch.source === '-')
    return `submit it again with a higher --budget${sum === undefined ? '' : `, up to ${sum}`}`;
  const command = `vidbatch run ${quoted(batch.source)} --batch ${quoted(batch.name)} --budget`;
  return sum === undefined
    ? `\`${command} …\`, or \`submit\`, with a higher one goes on`
    : `\`${command} ${sum}\`, or \`submit\`, pays for all of them`;
}

/** What rows of a batch with a budget ask for whose price is not known: a higher one would let none of them go. */
export function priceHint(batch: Pick<Batch, 'name' | 'source'>): string {
  return batch.source === '-'
    ? 'submit it again with --prices'
    : `\`vidbatch submit ${quoted(batch.source)} --batch ${quoted(batch.name)} --prices …\` says what they cost`;
}

/** One line for people. */
export function describePurse(purse: BudgetStatus): string {
  const money = (amount: BudgetStatus['left']): string => formatMoney({ amount, currency: purse.currency });
  const over = compare(purse.left, ZERO) < 0;
  return [
    `${money(purse.budget)}: ${money(purse.spent)} spent`,
    `${money(purse.reserved)} reserved`,
    over
      ? `${money({ ...purse.left, units: -purse.left.units })} MORE than the budget`
      : `${money(purse.left)} left`,
    ...(purse.beyond === purse.unpriced
      ? []
      : [`${purse.reached ? '' : 'at least '}${rowsOf(purse.beyond - purse.unpriced)} not fit`]),
    ...(purse.unpriced === 0 ? [] : [unpricedTold(purse.unpriced)]),
  ].join(' · ');
}

export function unpricedTold(rows: number): string {
  return rows === 1 ? '1 row has no known price' : `${rows.toLocaleString('en')} rows have no known price`;
}

function rowsOf(rows: number): string {
  return rows === 1 ? '1 row does' : `${rows.toLocaleString('en')} rows do`;
}
