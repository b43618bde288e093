import {
  createLog,
  standardError,
  type DestinationStream,
  type Logger,
  type LogFormat,
  type LogLevel,
} from '../core/log.ts';
import { redactor } from '../provider/api-key.ts';
import { configOf, type GlobalFlags } from './flags/flags.ts';
import { render, Styled, terminalText, type Line, type Look } from './output/style.ts';

interface LogOptions {
  /** Where finished lines go. */
  destination?: Pick<DestinationStream, 'write'>;
  /** The format if a person gave none. A program reads the log of a service. */
  format?: LogFormat;
}

/** The format of a command that runs until SIGTERM: text for the person at a terminal, else JSON. */
export function serviceFormat(): LogFormat {
  return process.stderr.isTTY ? 'text' : 'json';
}

/**
 * The log of a command. A provider may repeat the API key in a task id, which the ledger stores unchanged: the log removes
 * the key.
 */
export function logOf(
  flags: GlobalFlags,
  level: LogLevel,
  { destination = standardError(), format = 'text' }: LogOptions = {},
): Logger {
  const redact = redactor(configOf(flags).apiKey);
  const isJson = (flags.logFormat ?? format) === 'json';
  return createLog(flags.logLevel ?? level, {
    write: (json) => {
      const line = redact(json.trimEnd());
      destination.write(`${render(isJson ? line : formatLogLine(line), process.stderr)}\n`);
    },
  });
}

/** Fields that have their own place in the line, or that do not help a person. */
const NOT_IN_REST = new Set([
  'level',
  'time',
  'event',
  'batch',
  'key',
  'msg',
  'reason',
  'attemptId',
  'worker',
]);

const LOOKS: Readonly<Partial<Record<string, Look>>> = { warn: 'warning', error: 'bad', fatal: 'bad' };

/** `23:38:39 warn  text shot-007: rejected: prompt policy violation (attempt 1, httpStatus 400)`, in local time */
export function formatLogLine(json: string): Line {
  const record = JSON.parse(json) as Record<string, unknown>;
  const { time, level, batch, key, msg, reason } = record;
  const row = [batch, key].filter((part) => part !== undefined).map(oneLineText);
  const said = [row.join(' '), ...[msg, reason].filter((part) => part !== undefined).map(oneLineText)];
  const rest = Object.entries(record)
    .filter(([name, value]) => !NOT_IN_REST.has(name) && value !== msg && value !== null)
    .map(([name, value]) => `${name} ${oneLineText(value)}`);
  const text = said.filter((part) => part !== '').join(': ');
  const look = LOOKS[String(level)];
  const word = String(level).padEnd(5);
  return [
    `${new Date(String(time)).toLocaleTimeString('en-GB')} `,
    look === undefined ? word : new Styled(look, word),
    ` ${text}${rest.length === 0 ? '' : ` (${rest.join(', ')})`}`,
  ];
}

function oneLineText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return terminalText(text).replaceAll('\n', '\\u000a').replaceAll('\t', '\\u0009');
}
