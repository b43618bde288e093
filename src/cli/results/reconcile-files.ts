import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import { priceOf } from '../../core/money/prices.ts';
import { operator } from '../../core/operator.ts';
import { formatCount, parseDuration, parseOneOf } from '../../core/units.ts';
import type { Database } from '../../database/database.ts';
import { readOrigins } from '../../ledger/audit/pairing.ts';
import type { Suspect } from '../../ledger/audit/suspect.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { parseMap } from '../../manifest/columns.ts';
import { audit, type Audit, type AuditOptions } from '../../results/audit/audit.ts';
import type { Verdict } from '../../results/audit/candidate.ts';
import { currencyOf } from '../../results/audit/field.ts';
import { FINDING_TYPES } from '../../results/audit/finding-type.ts';
import { withoutKeys, type FileOptions } from '../../results/audit/provider-file.ts';
import { logAccepted } from '../../worker/row-log.ts';
import { parseTime } from '../../operate/since.ts';
import { formatAudit, openDifferences, type SideBySide } from './audit-output.ts';
import { configOf, flag, isOn, repeatableFlag, type GlobalFlags } from '../flags/flags.ts';
import { keepHeapSmall, type Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { pricesOf, pricesFlag, type PriceFlags } from '../flags/manifest.ts';
import { openLedgerOnly } from '../open-ledger.ts';
import { onInterrupt } from '../signals.ts';
import { Progress } from '../output/terminal.ts';
import { parseZone } from '../flags/time.ts';

/** The rows that are shown beside their tasks. The others are only counted. */
const MOST_ROWS = 20;

/** `reconcile --provider-file`: compares the provider's own files with the ledger. It does not ask the provider. */
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
      price: (model, duration) => priceOf(prices, { model, ...defined({ duration: duration ?? undefined }) }),
      ...(isOn(flags.accept) && { accept: { who: operator(), reason: `found in ${files.join(', ')}` } }),
      signal: interrupt.signal,
      onWarning: (text) => io.err(`warning: ${text}`),
      onProgress: (lines) => progress.show(`${formatCount(lines)} lines`),
      onFinding: (finding) => out.write(finding),
      onVerdict: (row, verdict, accepted) => {
        if (accepted !== undefined) {
          const { attemptId, number: attempt, taskId } = accepted;
          const { batch: of, key } = row;
          logAccepted(log, { batch: of, key, attempt, attemptId, taskId, surplus: false, by: 'resolve' });
        }
        if (rows.length < MOST_ROWS && verdict.kind !== 'none')
          rows.push(besideTask(row, verdict, accepted !== undefined));
      },
    });
    progress.clear();
    // A partial comparison could mislead, so nothing is printed.
    if (interrupt.signal.aborted) return await interrupt.happened;
    await out.keep();
    if (isOn(flags.json)) io.out(JSON.stringify(auditJson(name ?? null, result, rows)));
    else {
      for (const line of formatAudit(result, { batch: name ?? null, accepting: isOn(flags.accept), rows }))
        io.out(line);
      if (flags.differences !== undefined) io.out(`differences: ${flags.differences}`);
    }
    return exitCode(result);
  } finally {
    interrupt.dispose();
    progress.clear();
    await out.drop();
    await app.close();
  }
}

function besideTask({ batch, key, claimedAt }: Suspect, verdict: Verdict, accepted: boolean): SideBySide {
  const why = 'why' in verdict ? verdict.why : 'evidence' in verdict ? verdict.evidence : null;
  return {
    batch,
    key,
    verdict: accepted ? 'accepted' : verdict.kind,
    task: 'task' in verdict ? verdict.task : null,
    why: `${why === null ? '' : `by ${why}, `}claimed ${claimedAt.toISOString()}`,
  };
}

/** The provider of the files, if the ledger has sent to one provider only. */
async function onlyOrigin(db: Database): Promise<string> {
  const [origin = '', ...more] = await readOrigins(db);
  if (more.length === 0) return origin;
  throw usageError(
    'WHICH_PROVIDER',
    `this ledger has sent to several providers: ${[origin, ...more].join(', ')}`,
    'Name the provider of these files with --base-url <url>, or name a batch.',
  );
}

/** The highest risk wins, as for every command: 5, then 7. */
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
  repeatableFlag(
    command,
    '--provider-file <file>',
    'compare this task list, export or bill of the provider with the ledger; repeatable',
  );
  repeatableFlag(
    command,
    '--map <field=header>',
    'the field is the column with this header, such as task_id=任务ID; repeatable',
  );
  flag(command, '--format <format>', 'of the files: csv, json or jsonl (default: by the extension)');
  flag(command, '--encoding <label>', 'of the files, such as gb18030 (default: detected)');
  flag(command, '--delimiter <character>', 'of CSV files: a character or tab (default: detected)');
  flag(command, '--tz <zone>', 'of times in the files that name no zone, such as Asia/Shanghai');
  flag(command, '--currency <code>', 'of amounts in the files that name none, such as CNY');
  flag(command, '--negative <entry>', 'what a negative amount is if no column says it: charge or refund');
  pricesFlag(command);
  flag(command, '--since <time>', 'the files are complete from this time on');
  flag(command, '--until <time>', 'the files are complete until this time');
  flag(
    command,
    '--clock-tolerance <duration>',
    "how far the provider's clock may differ from the ledger's",
    '60s',
  );
  flag(command, '--differences <file>', 'write the differences to this CSV, for the provider');
  // It settles rows, so it has no variable.
  return command.option(
    '--accept',
    'settle an uncertain row if exactly one task fits it, and that task fits no other row',
  );
}

/** Flags that have no effect without --provider-file, and flags that have none with it. */
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
 * Checks only flags of the command line, because a variable may be meant for other commands.
 * @throws VidbatchError exit 2 for a flag that would have no effect.
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
    const hint = 'Name a file of the provider with --provider-file <file>, or leave the flags out.';
    throw usageError('NO_PROVIDER_FILE', `${flags}: no effect without --provider-file`, hint);
  }
  throw usageError(
    'NOBODY_IS_ASKED',
    `${flags}: no effect with --provider-file, which does not ask the provider`,
    'Leave the flags out, or run `vidbatch reconcile` again without --provider-file.',
  );
}

function fileOptions(flags: ProviderFileFlags): FileOptions {
  const { format, encoding, delimiter } = flags;
  const negative =
    flags.negative === undefined
      ? undefined
      : parseOneOf('BAD_ENTRY', '--negative', flags.negative, ['charge', 'refund']);
  const currency = flags.currency === undefined ? undefined : currencyOf(flags.currency);
  if (flags.currency !== undefined && currency === undefined) {
    throw usageError('BAD_CURRENCY', `--currency: "${flags.currency}" is not a currency such as CNY`);
  }
  return {
    ...defined({ format, encoding, delimiter }),
    map: parseMap(flags.map ?? []),
    zone: flags.tz === undefined ? undefined : parseZone(flags.tz),
    currency,
    negative,
  };
}

function spanOptions(flags: ProviderFileFlags): Pick<AuditOptions, 'since' | 'until' | 'toleranceMs'> {
  const zone = flags.tz === undefined ? undefined : parseZone(flags.tz);
  const timeOf = (name: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : parseTime(name, text, zone).getTime();
  return {
    ...defined({ since: timeOf('--since', flags.since), until: timeOf('--until', flags.until) }),
    toleranceMs: parseDuration('--clock-tolerance', flags.clockTolerance),
  };
}
