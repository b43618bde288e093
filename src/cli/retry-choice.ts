import { usageError } from '../core/errors.ts';
import { nextStep } from '../core/next-step.ts';
import { quoted } from '../core/text.ts';
import { RETRYABLE_STATES, STATES } from '../core/states.ts';
import type { State } from '../core/states.ts';
import type { Batch } from '../ledger/batches.ts';
import { findSubmissions } from '../ledger/read/rows.ts';
import type { Chosen } from '../ledger/operator/retry.ts';
import type { LedgerApp } from '../worker/app.ts';
import { isOn } from './flags.ts';
import { confirm } from './io.ts';
import type { Io } from './io.ts';
import type { ReadFlags, PriceFlags } from './manifest-flags.ts';

/** Flags of `retry`: which rows become pending again, and what a person agrees to. */
export interface RetryFlags extends ReadFlags, PriceFlags {
  failedTasks?: boolean;
  state?: string[];
  errorCode?: string[];
  key?: string[];
  changed?: string;
  again?: boolean;
}

/** The result of a retry, for people and for `--json`. */
export interface Done {
  text: string;
  json: Record<string, unknown>;
}

/** @throws VidbatchError exit 2 for states that are not retried, or for flags that exclude each other. */
export function parseChoice({ state, errorCode, key, changed, failedTasks }: RetryFlags): Chosen {
  if (failedTasks === true && (state ?? errorCode ?? changed) !== undefined) {
    throw usageError(
      'BAD_COMBINATION',
      '--failed-tasks is possible with --key and --prices, not with --state, --error-code or --changed',
      'Use two commands, one after the other.',
    );
  }
  const possible: readonly State[] = changed === undefined ? RETRYABLE_STATES : ['rejected', 'invalid'];
  const states = state?.map((one) => {
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
  return {
    ...(states === undefined ? {} : { states }),
    ...(errorCode === undefined ? {} : { errorCodes: errorCode }),
    ...(key === undefined ? {} : { keys: key }),
  };
}

/** If a named row is not retried, the person made a mistake. A count alone would hide it. */
export async function checkKeys(
  { db }: LedgerApp,
  batch: Batch,
  { keys = [] }: Chosen,
  changed: boolean,
): Promise<void> {
  const possible: readonly State[] = changed ? ['rejected', 'invalid'] : RETRYABLE_STATES;
  for (const key of keys) {
    const row = (await findSubmissions(db, batch.id, key)).find((one) => one.key === key);
    if (row === undefined) {
      throw usageError(
        'NO_SUCH_ROW',
        `batch ${batch.name} has no row with the key ${key}`,
        `\`vidbatch export ${quoted(batch.name)}\` lists them in the column row_key.`,
      );
    }
    if (!possible.includes(row.state)) {
      throw usageError(
        'NOT_RETRYABLE',
        `${batch.name} ${key} is ${row.state}: nothing was changed`,
        `Next: ${nextStep(row)}.`,
      );
    }
  }
}

/** Asks on a terminal, unless `--yes` was given. */
export async function ask(io: Io, { yes }: RetryFlags, rows: number, what: string): Promise<void> {
  if (rows === 0 || !io.interactive) return;
  if (isOn(yes)) io.err(what);
  else await confirm(io, `${what}. Go on?`);
}

/** For the event log: the filters that chose the rows. */
export function formatChoice({ states, errorCodes, keys }: Chosen): string {
  const parts = [
    ...(states ?? []),
    ...(errorCodes ?? []),
    ...(keys === undefined ? [] : [`${keys.length} by key`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
