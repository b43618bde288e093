import { usageError } from '../core/errors.ts';
import { parseRated, quote } from './random.ts';

/** Mistakes in the task list and the bill, and the tasks to which each applies. */
export const MISTAKES = {
  missing: { of: 'any', about: 'it is neither in the list nor on the bill' },
  unlisted: { of: 'any', about: 'it is on the bill alone' },
  extra: { of: 'any', about: 'both have an additional task that was never created' },
  'other-model': { of: 'any', about: 'both name another model' },
  'other-duration': { of: 'any', about: 'the list has it a second longer' },
  'other-end': { of: 'ended', about: 'the list says that it failed where it completed, or the reverse' },
  unbilled: { of: 'completed', about: 'it completed, but is not on the bill' },
  'billed-twice': { of: 'completed', about: 'it is charged twice' },
  'billed-failed': { of: 'failed', about: 'it failed, but is charged' },
  'other-amount': { of: 'completed', about: 'the charge is higher than the price' },
  'other-currency': { of: 'completed', about: 'the charge is in another currency' },
  refunded: { of: 'completed', about: 'it completed, but is charged and refunded' },
  'refund-alone': { of: 'completed', about: 'a refund without a charge' },
  unreadable: { of: 'completed', about: 'the amount of its charge is "n/a"' },
  'billed-refused': { of: 'refused', about: 'a create that was refused, or never became a task, is charged' },
} as const satisfies Record<string, { of: Concerned; about: string }>;

/** `refused`: creates that became no task. `ended`: completed or failed. */
type Concerned = 'any' | 'ended' | 'completed' | 'failed' | 'refused';

export type Mistake = keyof typeof MISTAKES;

export const MISTAKE_NAMES = Object.keys(MISTAKES) as Mistake[];

/** A mistake in a share of the tasks that it applies to. */
export interface RatedMistake {
  name: Mistake;
  /** 0-1. */
  rate: number;
}

/** Throws a usage error that lists the known names. */
export function parseMistakeName(text: string): Mistake {
  const name = MISTAKE_NAMES.find((known) => known === text.trim());
  if (name !== undefined) return name;
  const known = `known: ${MISTAKE_NAMES.join(', ')}`;
  throw usageError('unknown-mistake', `mistake ${quote(text)} is not known`, known);
}

/** Reads `name[=rate]`, for example `billed-twice=0.01`. Without a rate: every task that it applies to. */
export function parseMistake(spec: string): RatedMistake {
  const { name, rate } = parseRated('mistake', spec);
  return { name: parseMistakeName(name), rate };
}

/** Whether a mistake applies to a task of this status; `refused`: a create that became no task. */
export function concerns(mistake: Mistake, status: string): boolean {
  const { of } = MISTAKES[mistake];
  const failed = status === 'failed' || status === 'expired';
  switch (of) {
    case 'any':
      return status !== 'refused';
    case 'ended':
      return failed || status === 'completed';
    case 'failed':
      return failed;
    case 'completed':
    case 'refused':
      return status === of;
  }
}
