import { usageError } from '../core/errors.ts';

/** What the stand-in's task list and bill may have wrong about one task, and of which tasks that can be said. */
export const MISTAKES = {
  missing: { of: 'any', about: 'it is neither in the list nor on the bill' },
  unlisted: { of: 'any', about: 'it is on the bill alone' },
  extra: { of: 'any', about: 'beside it, both have a task that nobody created' },
  'other-model': { of: 'any', about: 'both name another model' },
  'other-duration': { of: 'any', about: 'the list has it a second longer' },
  'other-end': { of: 'ended', about: 'the list says that it failed where it completed, or the reverse' },
  unbilled: { of: 'completed', about: 'it is not on the bill, though it completed' },
  'billed-twice': { of: 'completed', about: 'it is charged twice' },
  'billed-failed': { of: 'failed', about: 'it is charged, though it failed' },
  'other-amount': { of: 'completed', about: 'the charge is higher than the price' },
  'other-currency': { of: 'completed', about: 'the charge is in another currency' },
  refunded: { of: 'completed', about: 'it is charged and refunded, though it completed' },
  'refund-alone': { of: 'completed', about: 'a refund without a charge' },
  unreadable: { of: 'completed', about: 'the amount of its charge is "n/a"' },
  'billed-refused': { of: 'refused', about: 'a create that was refused, or never became a task, is charged' },
} as const satisfies Record<string, { of: Concerned; about: string }>;

/** `refused`: creates that became no task. `ended`: completed or failed. */
type Concerned = 'any' | 'ended' | 'completed' | 'failed' | 'refused';

export type Mistake = keyof typeof MISTAKES;

export const MISTAKE_NAMES = Object.keys(MISTAKES) as Mistake[];

/** A mistake in a share of all tasks that it can be made of. */
export interface RatedMistake {
  name: Mistake;
  /** 0-1. */
  rate: number;
}

/** Reads a name. Throws a usage error that lists what is known. */
export function parseMistakeName(text: string): Mistake {
  const name = MISTAKE_NAMES.find((known) => known === text.trim());
  if (name !== undefined) return name;
  throw usageError(
    'unknown-mistake',
    `mistake ${JSON.stringify(text.slice(0, 80))} is not known`,
    `known: ${MISTAKE_NAMES.join(', ')}`,
  );
}

/** Reads `name[=rate]`, for example `billed-twice=0.01`. Without a rate: every task that it can be made of. */
export function parseMistake(spec: string): RatedMistake {
  const [name = '', rate = '1', ...rest] = spec.split('=');
  const share = Number(rate);
  if (rest.length > 0 || rate.trim() === '' || !(share >= 0 && share <= 1)) {
    throw usageError(
      'mistake-rate',
      `mistake ${JSON.stringify(spec)}: the rate is not a number between 0 and 1`,
    );
  }
  return { name: parseMistakeName(name), rate: share };
}

/** Whether it can be made of a task that stands so; `refused`: of a create that became none. */
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
