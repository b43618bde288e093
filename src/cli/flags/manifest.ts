import type { Command } from 'commander';
import { costOptions } from '../../batch/budget.ts';
import type { ProduceOptions } from '../../batch/producer.ts';
import type { Config } from '../../core/config.ts';
import { usageError } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import { readPrices, type Prices } from '../../core/money/prices.ts';
import { operator } from '../../core/operator.ts';
import { excerpt } from '../../core/text.ts';
import { parseCount } from '../../core/units.ts';
import { parseMap } from '../../manifest/columns.ts';
import { MOST_VARIANTS } from '../../manifest/variants.ts';
import { parsePriority } from '../../operate/priority.ts';
import { loadProfile } from '../../provider/profile/load.ts';
import { consentFlag, flag, isOn, profileFlag, type GlobalFlags } from './flags.ts';
import type { Io } from '../output/io.ts';
import {
  batchWindowFlag,
  deadlineFlags,
  isNone,
  offPeakFlag,
  parseDeadline,
  parseWindowFlag,
  type DeadlineFlags,
} from './time.ts';

/** Flags of commands that read a manifest. */
export interface ReadFlags extends GlobalFlags {
  format?: string;
  encoding?: string;
  delimiter?: string;
  map?: string[] | string;
  strict?: boolean;
  asWritten?: boolean;
  variants?: string;
  template?: boolean;
  skipLines?: string;
  sheet?: string;
}

export function readFlags(command: Command): Command {
  flag(command, '--format <format>', 'csv, json, jsonl or xlsx (default: by the extension)');
  flag(command, '--encoding <label>', 'such as utf-8, gb18030, utf-16le (default: detected)');
  flag(command, '--delimiter <character>', 'of a CSV: a character or tab (default: detected)');
  flag(command, '--skip-lines <n>', 'skip this many lines above the header of a CSV or a sheet');
  flag(
    command,
    '--sheet <name>',
    'the sheet of an Excel workbook (default: the only one that is not hidden)',
  );
  flag(
    command,
    '--map <field=header...>',
    'the field is the column with this header, such as prompt=描述; header=header keeps a column unsent',
  );
  flag(
    command,
    '--as-written',
    'send cells that look like a spreadsheet error or a missing value (#REF!, =A1, nan, null)',
  );
  flag(command, '--strict', 'warnings are errors');
  // A variable would change what is paid for every manifest.
  command.option('--variants <n>', 'n videos of each row, each paid: its id, then id#2, id#3 … (default: 1)');
  command.option('--template', '{{column}} in a prompt is the value of that column; \\{{ writes {{ as it is');
  return profileFlag(command);
}

/** The options that a manifest is read with. */
export function readOptions(flags: ReadFlags): ProduceOptions {
  const { format, encoding, delimiter } = flags;
  const map = mapOf(flags);
  return {
    ...defined({
      format,
      encoding,
      delimiter,
      map: map && parseMap(map),
      skipLines: parseSkipLines(flags),
      sheet: flags.sheet,
      variants: parseVariants(flags),
      profile: checkedProfile(flags),
    }),
    strict: isOn(flags.strict),
    asWritten: isOn(flags.asWritten),
    template: isOn(flags.template),
  };
}

/** The values of --map; its variable gives one. Undefined: none is given. */
export function mapOf({ map }: ReadFlags): string[] | undefined {
  return map === undefined ? undefined : [map].flat();
}

/** @throws VidbatchError exit 2 for a profile that cannot be found or read, before a ledger is opened. */
export function checkedProfile({ profile }: GlobalFlags): string | undefined {
  if (profile !== undefined) loadProfile(profile);
  return profile;
}

export function parseSkipLines({ skipLines }: ReadFlags): number | undefined {
  return skipLines === undefined ? undefined : parseCount('--skip-lines', skipLines, 0, 1000);
}

export function parseVariants({ variants }: ReadFlags): number | undefined {
  return variants === undefined ? undefined : parseCount('--variants', variants, 1, MOST_VARIANTS);
}

export interface PriceFlags {
  prices?: string;
}

export function pricesFlag(command: Command): Command {
  return flag(command, '--prices <file>', 'what models cost, such as jobs/prices.example.json');
}

/** Without a file, no price is known. */
export async function pricesOf({ prices }: PriceFlags): Promise<Prices> {
  return prices === undefined ? new Map() : readPrices(prices);
}

/** Flags that belong to a batch as a whole. The batch keeps each value until another one is given. */
export interface BatchFlags extends PriceFlags {
  priority?: string;
  haltOnFailure?: string;
  canary?: string;
  window?: string;
  budget?: string;
  keepGoing?: boolean;
}

export function batchFlags(command: Command): Command {
  flag(command, '--keep-going', 'send the valid rows, record the invalid ones');
  batchWindowFlag(command);
  flag(
    command,
    '--priority <n>',
    'before or after other batches: -100 to 100, higher first; added to that of each row (default: as before, else 0)',
  );
  flag(
    command,
    '--halt-on-failure <share>',
    'stop the batch when this share of its rows fails (rejected, exhausted), such as 5%, after at least 50; or none',
  );
  flag(
    command,
    '--canary <n>',
    'send n rows first, one after another, and the rest only if they are accepted; or none',
  );
  pricesFlag(command);
  return flag(
    command,
    '--budget <amount>',
    'the most that the batch may cost in all, such as 120CNY, or none (default: as before)',
  );
}

export function batchOptions({
  priority,
  haltOnFailure,
  canary,
}: BatchFlags): Pick<ProduceOptions, 'priority' | 'failShare' | 'canaryRows'> {
  const unlessNone = <T>(text: string | undefined, parse: (text: string) => T): T | null | undefined =>
    text === undefined ? undefined : isNone(text) ? null : parse(text);
  return defined({
    priority: priority === undefined ? undefined : parsePriority('--priority', priority),
    failShare: unlessNone(haltOnFailure, parseShare),
    canaryRows: unlessNone(canary, (text) => parseCount('--canary', text, 1, 1_000_000)),
  });
}

function parseShare(text: string): number {
  const [, digits] = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text.trim()) ?? [];
  const percent = Number(digits);
  if (percent > 0 && percent <= 100) return Number((percent / 100).toFixed(5));
  throw usageError(
    'BAD_SHARE',
    `--halt-on-failure: ${excerpt(text)} is not a share over 0% and up to 100%, such as 5%, or none`,
  );
}

/** Flags of commands that bring a manifest into the ledger. */
export interface ManifestFlags extends ReadFlags, DeadlineFlags, BatchFlags {
  batch?: string;
  prune?: boolean;
  keep?: boolean;
  rename?: boolean;
  add?: boolean;
  again?: boolean;
  rebind?: boolean;
}

export function manifestFlags(command: Command): Command {
  flag(
    command,
    '--batch <name>',
    'name of the batch; continues it when its manifest was moved (default: the file without its extension)',
  );
  readFlags(command);
  flag(command, '--prune', 'cancel pending rows that are no longer in the file');
  flag(command, '--keep', 'keep pending rows that are no longer in the file');
  flag(
    command,
    '--rename',
    'if a row has a new id and the content of a sent row, the sent row gets the new id, and nothing is sent',
  );
  consentFlag(
    command,
    '--add',
    'new rows that look like edited or renamed ones are new videos, and are paid',
  );
  consentFlag(command, '--again', 'send rows that another batch has sent already, and pay for them again');
  batchFlags(command);
  offPeakFlag(command);
  deadlineFlags(command);
  return consentFlag(
    command,
    '--rebind',
    'send the rows that still wait to another provider than the one that has task ids of this batch',
  );
}

export async function produceOptions(
  flags: ManifestFlags,
  manifests: readonly string[],
  { baseUrl, models }: Pick<Config, 'baseUrl' | 'models'>,
  { stdin }: Pick<Io, 'stdin'>,
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
  return {
    ...readOptions(flags),
    ...batchOptions(flags),
    ...defined({
      window: parseWindowFlag('--window', flags.window),
      deadline: parseDeadline(flags),
      batch: flags.batch,
      origin: baseUrl,
      vanished: isOn(flags.prune) ? ('prune' as const) : isOn(flags.keep) ? ('keep' as const) : undefined,
    }),
    ...(await costOptions(flags)),
    keepGoing: isOn(flags.keepGoing),
    rename: isOn(flags.rename),
    add: isOn(flags.add),
    again: isOn(flags.again),
    rebind: isOn(flags.rebind),
    who: operator(),
    models,
    stdin,
  };
}
