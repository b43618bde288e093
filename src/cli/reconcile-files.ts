import type { Command } from 'commander';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { formatCount, parseDuration } from '../core/units.ts';
import { priceOf } from '../core/money/prices.ts';
import { findZone, nearestZone } from '../core/time/zone.ts';
import type { Database } from '../database/database.ts';
import { readOrigins } from '../ledger/audit/pairing.ts';
import { parseMap } from '../manifest/columns.ts';
import { audit } from '../results/audit/audit.ts';
import type { Audit, AuditOptions } from '../results/audit/audit.ts';
import { currencyOf } from '../results/audit/field.ts';
import { FINDING_TYPES } from '../results/audit/finding-type.ts';
import { withoutKeys } from '../results/audit/provider-file.ts';
import type { FileOptions } from '../results/audit/provider-file.ts';
import { readTime } from '../results/audit/time.ts';
import { logAccepted } from '../worker/row-log.ts';
import { formatAudit, openDifferences } from './audit-output.ts';
import type { SideBySide } from './audit-output.ts';
import { configOf, isOn, logOf, flag, repeatable } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { keepHeapSmall } from './io.ts';
import { operator } from '../core/operator.ts';
import type { Io } from './io.ts';
import { pricesOf, pricesFlag } from './manifest-flags.ts';
import type { PriceFlags } from './manifest-flags.ts';
import { requireBatch } from '../ledger/batches.ts';
import { openLedgerOnly } from './open-ledger.ts';
import { onInterrupt } from './signals.ts';
import { Progress } from './terminal.ts';

/** Rows that are shown beside their tasks; the rest is counted. */
const MOST_ROWS = 20;

/** `reconcile --provider-file`: the provider's own files against ledger and polled tasks. Asks the provider nothing. */
export async function reconcileFiles(
  name: string | undefined,
  flags: ProviderFileFlags & GlobalFlags,
  io: Io,
): Promise<number> {
  const files = flags.providerFile ?? [];
  const options = { ...fileOptions(flags), ...spanOptions(flags) };
  const prices = await pricesOf(flags);
  const config = configOf(flags);
  const log = logOf(flags, io.interactive ? 'warn' : 'info');
  keepHeapSmall();
  const app = await openLedgerOnly(config, io);
  const interrupt = onInterrupt(io.quit);
  const progress = new Progress(io);
  const redact = withoutKeys(config.apiKey);
  const out = await openDifferences(flags.differences, files, redact);
  const rows: SideBySide[] = [];
  try {
    const batch = name === undefined ? null : await requireBatch(app.db, name);
    const origin = batch?.origin ?? config.baseUrl ?? (await onlyOrigin(app.db));
    const result = await audit(app.db, {
      ...options,
      files,
      origin,
      batch,
      redact,
      price: (model, duration) => priceOf(prices, { model, ...(duration === null ? {} : { duration }) }),
      ...(isOn(flags.accept) ? { accept: { who: operator(), reason: `found in ${files.join(', ')}` } } : {}),
      signal: interrupt.signal,
      onWarning: (text) => io.err(`warning: ${text}`),
      onProgress: (lines) => progress.show(`${formatCount(lines)} lines`),
      onFinding: (finding) => out.write(finding),
      onVerdict: ({ batch: of, key, submissionId: _id, ...row }, verdict, accepted) => {
        if (accepted !== undefined) {
          const { attemptId, number: attempt, taskId } = accepted;
          logAccepted(log, { batch: of, key, attempt, attemptId, taskId, surplus: false, by: 'resolve' });
        }
        if (rows.length >= MOST_ROWS || verdict.kind === 'none') return;
        const task = 'task' in verdict ? verdict.task : null;
        const why = 'why' in verdict ? verdict.why : 'evidence' in verdict ? verdict.evidence : null;
        rows.push({
          batch: of,
          key,
          verdict: accepted === undefined ? verdict.kind : 'accepted',
          task,
          why: `${why === null ? '' : `by ${why}, `}claimed ${row.claimedAt.toISOString()}`,
        });
      },
    });
    progress.clear();
    // What it would have found is not known, so nothing is told.
    if (interrupt.signal.aborted) return await interrupt.happened;
    await out.keep();
    if (flags.json === true) io.out(JSON.stringify(auditJson(name ?? null, result, rows)));
    else {
      for (const line of formatAudit(result, { batch: name ?? null, accepting: isOn(flags.accept), rows }))
        io.out(line);
      if (flags.differences !== undefined) io.out(`what differs: ${flags.differences}`);
    }
    return exitCode(result);
  } finally {
    interrupt.dispose();
    progress.clear();
    await out.drop();
    await app.close();
  }
}

/** Where the files are from, if the ledger has sent to one provider alone. */
async function onlyOrigin(db: Database): Promise<string> {
  const [origin = '', ...more] = await readOrigins(db);
  if (more.length === 0) return origin;
  throw usageError(
    'WHICH_PROVIDER',
    `this ledger has sent to several providers: ${[origin, ...more].join(', ')}`,
    'Say whose files these are: --base-url <url>, or name a batch.',
  );
}

/** As for every command that names batches: what may have been paid for nothing comes first. */
function exitCode({ doubts, summary }: Audit): ExitCode {
  if (doubts.rows > doubts.settled || summary.count('surplus') > 0) return EXIT.uncertainRows;
  return summary.differing > 0 ? EXIT.differences : EXIT.ok;
}

function auditJson(
  batch: string | null,
  { files, summary, doubts, stored }: Audit,
  rows: SideBySide[],
): object {
  return {
    batch,
    files,
    differing: summary.differing,
    kinds: summary.counted().map((one) => ({ ...one, ...FINDING_TYPES[one.kind] })),
    uncertain: { ...doubts, examples: rows },
    stored,
  };
}

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
