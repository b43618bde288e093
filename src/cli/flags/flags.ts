import { Option, type Command } from 'commander';
import { formatKeyApart, readConfig, saysNothing, type Config } from '../../core/config.ts';
import { defined } from '../../core/json.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../../core/log.ts';
import { operator } from '../../core/operator.ts';
import { checkModels, joined, parseCaps, parseRate, parseRates } from '../../core/rate/rate-limits.ts';
import { parseCount, parseDuration } from '../../core/units.ts';
import { configuredProfile } from '../../provider/profile/load.ts';
import { configuredModels } from '../../provider/profile/models.ts';
import type { WorkLimits } from '../../worker/sending.ts';
import type { Io } from '../output/io.ts';

/** `--rate-limit` falls back to `VIDBATCH_RATE_LIMIT`. */
export class VariableOption extends Option {
  readonly variable: string;

  constructor(flags: string, description: string) {
    super(flags, description);
    this.variable = `VIDBATCH_${this.name().replaceAll('-', '_').toUpperCase()}`;
    // Commander takes any variable that is set as a yes.
    if (!saysNothing(this.variable, this.required)) this.env(this.variable);
  }
}

/** Adds a flag whose value falls back to `VIDBATCH_<FLAG>`. */
export function flag(command: Command, flags: string, description: string, fallback?: string): Command {
  const option = new VariableOption(flags, description);
  if (fallback !== undefined) option.default(fallback);
  return command.addOption(option);
}

/** Adds a flag that may be given several times. Its variable separates the values by commas. */
export function listFlag(command: Command, flags: string, description: string): Command {
  const option = new VariableOption(flags, description).argParser((value: string, before?: string) =>
    before === undefined ? value : `${before},${value}`,
  );
  return command.addOption(option);
}

/** The same for values that may contain a comma. Its variable gives one value. */
export function repeatableFlag(command: Command, flags: string, description: string): Command {
  return command.addOption(new VariableOption(flags, description).argParser(collect));
}

/** Collects the values of a flag that is given several times. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/**
 * Adds a flag by which a person agrees to an act that vidbatch otherwise refuses or asks about. It has no variable: a
 * variable that stays set would agree for every manifest, and another person may have written `.env`.
 */
export function consentFlag(command: Command, flags: string, description: string): Command {
  return command.option(flags, description);
}

/** Whether a flag without a value was given. */
export function isOn(value: boolean | undefined): boolean {
  return value === true;
}

/** The values of a `listFlag`. */
export function parseList(text = ''): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** 0: any free port. */
export function parsePort(text: string): number {
  return text.trim() === '0' ? 0 : parseCount('--port', text, 1, 65_535);
}

/** Flags that every command has. */
export interface GlobalFlags {
  json?: boolean;
  logLevel?: LogLevel;
  logFormat?: LogFormat;
  dataDir?: string;
  baseUrl?: string;
  allowHttp?: boolean;
  profile?: string;
  yes?: boolean;
}

export function globalFlags(command: Command): Command {
  command.option('--json', 'machine-readable output on stdout');
  flag(command, '--data-dir <folder>', 'where the embedded ledger lives (default: .vidbatch)');
  command.addOption(new VariableOption('--log-level <level>', 'logs on stderr').choices(LOG_LEVELS));
  return command.addOption(
    new VariableOption(
      '--log-format <format>',
      'of the log on stderr (default: text; of work and board without a terminal: json)',
    ).choices(LOG_FORMATS),
  );
}

export function providerFlags(command: Command): Command {
  flag(command, '--base-url <url>', "the provider's base URL");
  return flag(command, '--allow-http', 'plain http to a host that is not this machine');
}

export function profileFlag(command: Command): Command {
  return flag(
    command,
    '--profile <name>',
    'what the provider looks like: a built-in profile, or a file (default: as the batch remembers it, else vidu-gateway)',
  );
}

/** For commands that send rows, or bring rows into the ledger. */
export function foreignFlag(command: Command): Command {
  return consentFlag(
    command,
    '--accept-foreign-journals',
    'use this ledger although the data folder holds journals of another ledger; needed once',
  );
}

/** The environment, with the global flags over it. */
export function configOf(flags: GlobalFlags & { acceptForeignJournals?: boolean }): Config {
  const { acceptForeignJournals, ...over } = flags;
  return readConfig(
    undefined,
    isOn(acceptForeignJournals) ? { ...over, acceptForeignJournals: operator() } : over,
  );
}

/** Warns before anything is sent, because another person may have written `.env`, as in an unpacked folder. */
export function warnOfKeyApart(config: Config, io: Pick<Io, 'err'>): void {
  const warning = formatKeyApart(config);
  if (warning !== undefined) io.err(`warning: ${warning}`);
}

/** For commands that poll tasks. */
export function pollRateFlag(command: Command): Command {
  return flag(
    command,
    '--poll-rate <rate>',
    'polls of all processes together, such as 5/s (default: no limit)',
  );
}

/** Milliseconds between two polls. */
export function parsePollRate({ pollRate }: { pollRate?: string }): number | undefined {
  return pollRate === undefined ? undefined : parseRate('--poll-rate', pollRate);
}

/** Flags of commands that send rows. */
export interface WorkFlags extends GlobalFlags {
  concurrency: string;
  rate?: string;
  maxInFlight?: string;
  attempts: string;
  timeout: string;
  queueDepth: string;
  pollConcurrency: string;
  pollRate?: string;
}

export function workFlags(command: Command): Command {
  flag(command, '--concurrency <n>', 'open calls of this worker', '8');
  listFlag(
    command,
    '--rate <rate>',
    'requests of all workers together, such as 10/s or 600/m, or of a model, 2/s@viduq3p-1080p; auto: as fast as the provider allows; may be repeated (default: no limit)',
  );
  listFlag(
    command,
    '--max-in-flight <n>',
    'tasks of all workers that the provider has accepted and not finished, or of a model, 2@viduq3p-1080p; may be repeated (default: no limit)',
  );
  flag(command, '--attempts <n>', 'tries of a row that is known not to have been accepted', '5');
  flag(
    command,
    '--timeout <duration>',
    'time for a complete answer; a short time leaves rows uncertain',
    '120s',
  );
  flag(command, '--queue-depth <n>', 'rows in the queue at a time, at most', '1000');
  flag(command, '--poll-concurrency <n>', 'polls open at a time; 0: this worker polls no task', '4');
  return pollRateFlag(command);
}

/** @throws VidbatchError exit 2 for a value that is not allowed. */
export function workLimits(flags: WorkFlags, config: Pick<Config, 'models' | 'profile'>): WorkLimits {
  return {
    concurrency: parseCount('--concurrency', flags.concurrency, 1, 1000),
    maxAttempts: parseCount('--attempts', flags.attempts, 1, 100),
    timeoutMs: parseDuration('--timeout', flags.timeout),
    queueDepth: parseCount('--queue-depth', flags.queueDepth, 1, 100_000),
    pollConcurrency: parseCount('--poll-concurrency', flags.pollConcurrency, 0, 1000),
    ...defined({
      limits: limitsOf(flags, config),
      pollIntervalMs: parsePollRate(flags),
    }),
  };
}

/** Flags count more than what the profile of the configuration says. */
function limitsOf(flags: WorkFlags, config: Pick<Config, 'models' | 'profile'>): WorkLimits['limits'] {
  const own = configuredProfile(config).limits;
  const { rate = own.rate, maxInFlight = own.maxInFlight?.toString() } = flags;
  if (rate === undefined && maxInFlight === undefined) return undefined;
  const rates = rate === undefined ? [] : parseRates('--rate', rate);
  const caps = maxInFlight === undefined ? [] : parseCaps('--max-in-flight', maxInFlight);
  const limits = joined(rates, caps);
  checkModels(limits, configuredModels(config));
  return limits;
}
