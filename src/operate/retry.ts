import type { Estimate } from '../batch/estimate.ts';
import { reopenRows } from '../batch/retry.ts';
import { usageError } from '../core/errors.ts';
import { sums } from '../core/money/money.ts';
import { nextStep } from '../core/next-step.ts';
import { RETRYABLE_STATES, STATES, type State } from '../core/states.ts';
import { formatCount, plural } from '../core/units.ts';
import type { Database } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { amountOf } from '../ledger/money/budget.ts';
import { countRetryable, readRetryPrices, type Chosen, type Ended } from '../ledger/operator/retry.ts';
import { readAsOf } from '../ledger/read/uncertain.ts';
import { requireRow } from './row-life.ts';
import { formatMost } from './stake.ts';

/** The rows that a retry would send again. None of them was paid. */
export interface Retryable {
  rows: number;
  /** The largest group first. */
  ended: Ended[];
  /** What sending them can cost at most. */
  cost: Estimate;
  /** When they were counted. */
  asOf: string;
}

export async function readRetryable(db: Database, batch: Batch, chosen: Chosen): Promise<Retryable> {
  const asOf = await readAsOf(db);
  const ended = await countRetryable(db, batch.id, chosen);
  const prices = await readRetryPrices(db, batch.id, chosen);
  return {
    asOf,
    rows: ended.reduce((sum, { rows }) => sum + rows, 0),
    ended,
    cost: {
      totals: sums(
        prices.flatMap(({ currency, amount }) =>
          currency === null ? [] : [{ currency, amount: amountOf(amount) }],
        ),
      ),
      unknown: prices.reduce((sum, { currency, rows }) => sum + (currency === null ? rows : 0), 0),
    },
  };
}

const MOST_GROUPS = 5;

/** `text: 24 rows again: 20 rejected (policy), 4 exhausted (ECONNREFUSED); sending them costs at most 7.20 CNY` */
export function formatRetryable({ name }: Batch, { rows, ended, cost }: Retryable): string {
  const groups = ended.slice(0, MOST_GROUPS).map(formatEnded).join(', ');
  const more = ended.length > MOST_GROUPS ? ', …' : '';
  return `${name}: ${plural(rows, 'row')} again: ${groups}${more}; sending ${rows === 1 ? 'it' : 'them'} costs ${formatMost(cost)}`;
}

function formatEnded({ state, errorCode, rows }: Ended): string {
  return `${formatCount(rows)} ${state}${errorCode === null ? '' : ` (${errorCode})`}`;
}

/**
 * The rows become pending again. They are sent, and paid, once. Rows that have moved since a person saw them stay.
 * @throws VidbatchError exit 2 while chosen rows of a cancelled batch are in flight, or when `batch` was cancelled since.
 */
export function retryRows(
  db: Database,
  who: string,
  batch: Batch,
  chosen: Chosen,
  { asOf }: Pick<Retryable, 'asOf'>,
): Promise<number> {
  return reopenRows(db, batch, chosen, { who, filters: formatChoice(chosen), asOf });
}

/** @throws VidbatchError exit 2 for a state whose rows are not retried. */
export function parseStates(
  words: readonly string[],
  possible: readonly State[] = RETRYABLE_STATES,
): State[] {
  return words.map((one) => {
    const known = possible.find((word) => word === one);
    if (known !== undefined) return known;
    const why = STATES.some((word) => word === one)
      ? `${one} rows are not retried${one === 'invalid' ? ' as they are' : ''}`
      : `"${one}" is not a state`;
    const next =
      one === 'uncertain'
        ? '`vidbatch resolve` settles uncertain rows.'
        : one === 'invalid'
          ? 'Correct them, and give the manifest with --changed.'
          : undefined;
    throw usageError('BAD_STATE', `--state: ${why}; allowed are ${possible.join(', ')}`, next);
  });
}

/** ` (exhausted, ECONNREFUSED)`: the filters that chose the rows, for the event log. */
export function formatChoice({ states, errorCodes, keys }: Chosen): string {
  const parts = [
    ...(states ?? []),
    ...(errorCodes ?? []),
    ...(keys === undefined ? [] : [`${keys.length} by key`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/**
 * A key of a row that cannot be retried is a mistake, which a count alone would hide.
 * @throws VidbatchError exit 2
 */
export async function checkKeys(
  db: Database,
  batch: Batch,
  { keys = [] }: Chosen,
  possible: readonly State[] = RETRYABLE_STATES,
): Promise<void> {
  for (const key of keys) {
    const row = await requireRow(db, batch, key);
    if (!possible.includes(row.state)) {
      throw usageError(
        'NOT_RETRYABLE',
        `${batch.name} ${key} is ${row.state}: nothing was changed`,
        `Next: ${nextStep(row)}.`,
      );
    }
  }
}
