import type { Command } from 'commander';
import { parseCount } from '../core/quantity.ts';
import { usageError } from '../core/errors.ts';
import { excerpt } from '../core/excerpt.ts';
import type { ProduceOptions } from '../batch/producer.ts';
import { flag } from './io.ts';

/** What is said of a batch as a whole, and kept with it until something else is said. */
export interface BatchFlags {
  priority?: string;
  haltOnFailure?: string;
  canary?: string;
}

export type BatchOptions = Pick<ProduceOptions, 'priority' | 'failShare' | 'canaryRows'>;

export function batchFlags(command: Command): Command {
  flag(
    command,
    '--priority <n>',
    'before or after other batches: -100 to 100, higher first; added to that of each row (default: as before, else 0)',
  );
  flag(
    command,
    '--halt-on-failure <share>',
    'stop the batch when so many of its rows fail (rejected, exhausted), such as 5%, after at least 50; or none',
  );
  return flag(
    command,
    '--canary <n>',
    'send n rows first, one after another, and the rest only if they are accepted; or none',
  );
}

export function batchOptions({ priority, haltOnFailure, canary }: BatchFlags): BatchOptions {
  return {
    ...(priority === undefined ? {} : { priority: parseCount('--priority', priority, -100, 100) }),
    ...(haltOnFailure === undefined
      ? {}
      : { failShare: isNone(haltOnFailure) ? null : shareOf(haltOnFailure) }),
    ...(canary === undefined
      ? {}
      : { canaryRows: isNone(canary) ? null : parseCount('--canary', canary, 1, 1_000_000) }),
  };
}

function isNone(text: string): boolean {
  return text.trim().toLowerCase() === 'none';
}

function shareOf(text: string): number {
  const [, digits] = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text.trim()) ?? [];
  const percent = Number(digits);
  if (percent > 0 && percent <= 100) return Number((percent / 100).toFixed(5));
  throw usageError(
    'BAD_SHARE',
    `--halt-on-failure: ${excerpt(text)} is not a share over 0% and up to 100%, such as 5%, or none`,
  );
}
