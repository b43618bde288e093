import type { Command } from 'commander';
import type { AuditOptions } from '../results/audit/audit.ts';
import type { FileOptions } from '../results/audit/provider-file.ts';
import { currencyOf } from '../results/audit/field.ts';
import { readTime } from '../results/audit/time.ts';
import { parseDuration } from '../core/quantity.ts';
import { usageError } from '../core/errors.ts';
import { parseMap } from '../manifest/columns.ts';
import { findZone, nearestZone } from '../core/time/zone.ts';
import { flag, repeatable } from './io.ts';
import { pricesFlag } from './price-flags.ts';
import type { PriceFlags } from './price-flags.ts';

export interface ProviderFileFlags extends PriceFlags {
  providerFile?: string[];
  map?: string[];
  format?: string;
  encoding?: string;
  delimiter?: string;
  tz?: string;
  currency?: string;
  negative?: string;
  since?: string;
  until?: string;
  clockTolerance: string;
  differences?: string;
  accept?: boolean;
}

export function providerFileFlags(command: Command): Command {
  repeatable(
    command,
    '--provider-file <file>',
    "hold this task list, export or bill of the provider's against the ledger; repeatable",
  );
  repeatable(
    command,
    '--map <field=header>',
    'the field stands under this header, such as task_id=任务ID; repeatable',
  );
  flag(command, '--format <format>', 'of the files: csv, json or jsonl (default: by the extension)');
  flag(command, '--encoding <label>', 'of the files, such as gb18030 (default: detected)');
  flag(command, '--delimiter <character>', 'of CSV files: a character or tab (default: detected)');
  flag(command, '--tz <zone>', 'of times in the files that name no zone, such as Asia/Shanghai');
  flag(command, '--currency <code>', 'of amounts in the files that name none, such as CNY');
  flag(command, '--negative <entry>', 'what negative amounts are where no column says it: charge or refund');
  pricesFlag(command);
  flag(command, '--since <time>', 'the files cover everything from then on');
  flag(command, '--until <time>', 'the files cover everything until then');
  flag(
    command,
    '--clock-tolerance <duration>',
    "how far the provider's clock may be from the ledger's",
    '60s',
  );
  flag(command, '--differences <file>', 'write what differs to this CSV, for the provider to look into');
  // Said each time, like all that settles a row.
  return command.option(
    '--accept',
    'settle uncertain rows to which one task of the files belongs, and no other row',
  );
}

/** Without a file they would say nothing; and with one, nobody is asked. */
const OF_FILES = [
  'map',
  'format',
  'encoding',
  'delimiter',
  'tz',
  'currency',
  'negative',
  'prices',
  'since',
  'until',
  'clockTolerance',
  'differences',
  'accept',
] as const satisfies readonly (keyof ProviderFileFlags)[];
const OF_ASKING = ['watch', 'ended', 'concurrency', 'pollRate'] as const;

/**
 * What stands in the environment may be meant for other commands, and is passed over.
 * @throws VidbatchError exit 2 for flags of the command line that would have no effect.
 */
export function checkMode(command: Command, { providerFile }: ProviderFileFlags): void {
  const idle = providerFile === undefined ? OF_FILES : OF_ASKING;
  const given = idle.filter((name) => command.getOptionValueSource(name) === 'cli');
  if (given.length === 0) return;
  const flags = command.options
    .filter((option) => given.some((name) => name === option.attributeName()))
    .map(({ long }) => long)
    .join(', ');
  if (providerFile === undefined) {
    const files = 'Name a file of the provider, --provider-file <file>, or leave them out.';
    throw usageError('NO_PROVIDER_FILE', `${flags}: nothing to apply to without --provider-file`, files);
  }
  throw usageError(
    'NOBODY_IS_ASKED',
    `${flags}: nothing to apply to with --provider-file, which asks the provider nothing`,
    'Leave them out, or run `vidbatch reconcile` once more without --provider-file.',
  );
}

export function fileOptions(flags: ProviderFileFlags): FileOptions {
  const { format, encoding, delimiter, negative } = flags;
  if (negative !== undefined && negative !== 'charge' && negative !== 'refund') {
    throw usageError('BAD_ENTRY', `--negative: "${negative}" is not charge or refund`);
  }
  const currency = flags.currency === undefined ? undefined : currencyOf(flags.currency);
  if (flags.currency !== undefined && currency === undefined) {
    throw usageError('BAD_CURRENCY', `--currency: "${flags.currency}" is not a currency such as CNY`);
  }
  return {
    ...(format === undefined ? {} : { format }),
    ...(encoding === undefined ? {} : { encoding }),
    ...(delimiter === undefined ? {} : { delimiter }),
    map: parseMap(flags.map ?? []),
    zone: zoneOf(flags.tz),
    currency,
    negative,
  };
}

export function spanOptions(flags: ProviderFileFlags): Pick<AuditOptions, 'since' | 'until' | 'toleranceMs'> {
  const zone = zoneOf(flags.tz);
  return {
    ...(flags.since === undefined ? {} : { since: timeOf('--since', flags.since, zone) }),
    ...(flags.until === undefined ? {} : { until: timeOf('--until', flags.until, zone) }),
    toleranceMs: parseDuration('--clock-tolerance', flags.clockTolerance),
  };
}

function zoneOf(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const zone = findZone(name);
  if (zone !== undefined) return zone;
  const meant = nearestZone(name);
  throw usageError(
    'BAD_ZONE',
    `--tz: "${name}" is no zone of the tz database`,
    meant === undefined ? 'For example Asia/Shanghai, or UTC.' : `Did you mean ${meant}?`,
  );
}

/** Without a zone, that of `--tz`, else UTC: as every time is shown. */
function timeOf(name: string, text: string, zone = 'UTC'): number {
  const day = /^\d{4}-\d\d-\d\d$/.test(text.trim()) ? `${text.trim()}T00:00` : text;
  const read = readTime(day, zone);
  if (read.kind === 'time') return read.at;
  throw usageError('BAD_TIME', `${name}: "${text}" is not a time such as 2026-03-01 or 2026-03-01T18:00Z`);
}
