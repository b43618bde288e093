import type { Command } from 'commander';
import { costOptions } from '../batch/budget.ts';
import type { ProduceOptions } from '../batch/producer.ts';
import { usageError } from '../core/errors.ts';
import { excerpt } from '../core/text.ts';
import { readPrices } from '../core/money/prices.ts';
import type { Prices } from '../core/money/prices.ts';
import { parseCount } from '../core/units.ts';
import { parseMap } from '../manifest/columns.ts';
import { consentFlag, flag, isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { operator } from '../core/operator.ts';
import { batchWindowFlag, deadlineFlags, offPeakFlag, readDeadline, readWindow } from './window-flags.ts';
import type { DeadlineFlags } from './window-flags.ts';

/** Flags of whoever reads a manifest. */
export interface ReadFlags extends GlobalFlags {
  format?: string;
  encoding?: string;
  delimiter?: string;
  map?: string[] | string;
  strict?: boolean;
  asWritten?: boolean;
  skipLines?: string;
}

/** Flags of whoever brings a manifest into the ledger. */
export interface ManifestFlags extends ReadFlags, DeadlineFlags, BatchFlags, CostFlags {
  batch?: string;
  keepGoing?: boolean;
  prune?: boolean;
  keep?: boolean;
  rename?: boolean;
  add?: boolean;
  again?: boolean;
  rebind?: boolean;
  window?: string;
}

export function readFlags(command: Command): Command {
  flag(command, '--format <format>', 'csv, json or jsonl (default: by the extension)');
  flag(command, '--encoding <label>', 'such as utf-8, gb18030, utf-16le (default: detected)');
  flag(command, '--delimiter <character>', 'of a CSV: a character or tab (default: detected)');
  flag(command, '--skip-lines <n>', 'skip this many lines above the header of a CSV');
  flag(
    command,
    '--map <field=header...>',
    'the field stands under this header, such as prompt=描述; header=header keeps a column unsent',
  );
  flag(
    command,
    '--as-written',
    'send cells that look like a spreadsheet error or a missing value (#REF!, =A1, nan, null)',
  );
  return flag(command, '--strict', 'warnings are errors');
}

export function manifestFlags(command: Command): Command {
  flag(
    command,
    '--batch <name>',
    'name of the batch; goes on with it when its manifest was moved (default: the file without its extension)',
  );
  readFlags(command);
  flag(command, '--keep-going', 'send the valid rows, record the invalid ones');
  flag(command, '--prune', 'cancel pending rows that are gone from the file');
  flag(command, '--keep', 'keep pending rows that are gone from the file');
  flag(
    command,
    '--rename',
    'rows with a new id and the content of a sent row are that row: it gets the new id, and nothing is sent',
  );
  consentFlag(
    command,
    '--add',
    'new rows that look like edited or renamed ones are new videos, and are paid',
  );
  consentFlag(command, '--again', 'send rows that another batch has sent already, and pay for them again');
  batchFlags(batchWindowFlag(command));
  offPeakFlag(command);
  deadlineFlags(command);
  costFlags(command);
  return consentFlag(
    command,
    '--rebind',
    'send the rows that still wait to another provider than the one that has task ids of this batch',
  );
}

export function readOptions(flags: ReadFlags): ProduceOptions {
  const specs = typeof flags.map === 'string' ? [flags.map] : (flags.map ?? []);
  return {
    ...(flags.format === undefined ? {} : { format: flags.format }),
    ...(flags.encoding === undefined ? {} : { encoding: flags.encoding }),
    ...(flags.delimiter === undefined ? {} : { delimiter: flags.delimiter }),
    ...(specs.length === 0 ? {} : { map: parseMap(specs) }),
    strict: isOn(flags.strict),
    asWritten: isOn(flags.asWritten),
    ...(flags.skipLines === undefined
      ? {}
      : { skipLines: parseCount('--skip-lines', flags.skipLines, 0, 1000) }),
  };
}

export async function produceOptions(
  flags: ManifestFlags,
  manifests: readonly string[],
): Promise<ProduceOptions> {
  if (isOn(flags.prune) && isOn(flags.keep)) {
    throw usageError('PRUNE_OR_KEEP', '--prune and --keep contradict each other', 'Give one of them.');
  }
  if (flags.batch !== undefined && manifests.length > 1) {
    throw usageError(
      'ONE_BATCH',
      '--batch names one batch, and there are several manifests',
      'Submit them one by one.',
    );
  }
  const window = readWindow('--window', flags.window);
  const deadline = readDeadline(flags);
  return {
    ...readOptions(flags),
    ...batchOptions(flags),
    ...(window === undefined ? {} : { window }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(await costOptions(flags)),
    ...(flags.batch === undefined ? {} : { batch: flags.batch }),
    ...(isOn(flags.prune) ? { vanished: 'prune' as const } : {}),
    ...(isOn(flags.keep) ? { vanished: 'keep' as const } : {}),
    keepGoing: isOn(flags.keepGoing),
    rename: isOn(flags.rename),
    add: isOn(flags.add),
    again: isOn(flags.again),
    rebind: isOn(flags.rebind),
    who: operator(),
  };
}

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

/** Flags of whoever says what rows cost. */
export interface PriceFlags {
  prices?: string;
}

export function pricesFlag(command: Command): Command {
  return flag(command, '--prices <file>', 'what models cost, such as jobs/prices.example.json');
}

const NONE: Prices = new Map();

/** What nobody has said is not known. */
export async function pricesOf({ prices }: PriceFlags): Promise<Prices> {
  return prices === undefined ? NONE : readPrices(prices);
}

/** Flags of whoever brings a manifest into the ledger. */
export interface CostFlags extends PriceFlags {
  budget?: string;
}

export function costFlags(command: Command): Command {
  return flag(
    pricesFlag(command),
    '--budget <amount>',
    'what the batch may cost, all its life, such as 120CNY, or none (default: as before)',
  );
}
