import type { DestinationStream } from 'pino';
import type { Io } from './io.ts';
import type { Progress } from './progress.ts';
import { terminalText } from './terminal-text.ts';

/** Logs above the bar: JSON for programs, and on a terminal, where a person reads them, a line of text. */
export function logAbove(
  progress: Pick<Progress, 'above'>,
  { interactive }: Pick<Io, 'interactive'>,
): DestinationStream {
  return { write: (text) => progress.above(interactive ? `${logLine(text)}\n` : text) };
}

/** Shown in their own place, or of no use to a person. */
const ELSEWHERE = new Set(['level', 'time', 'event', 'batch', 'key', 'msg', 'reason', 'attemptId', 'worker']);

/** `23:38:39 warn  text shot-007: rejected: prompt policy violation (attempt 1, httpStatus 400)` */
export function logLine(json: string): string {
  const record = JSON.parse(json) as Record<string, unknown>;
  const { time, level, batch, key, msg, reason } = record;
  const row = [batch, key].filter((part) => part !== undefined).map(plain);
  const said = [row.join(' '), ...[msg, reason].filter((part) => part !== undefined).map(plain)];
  const rest = Object.entries(record)
    .filter(([name, value]) => !ELSEWHERE.has(name) && value !== msg && value !== null)
    .map(([name, value]) => `${name} ${plain(value)}`);
  const text = said.filter((part) => part !== '').join(': ');
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${text}${rest.length === 0 ? '' : ` (${rest.join(', ')})`}`;
}

/** What a provider says may hold anything, and must not steer the terminal. */
function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return terminalText(text).replaceAll('\n', '\\u000a').replaceAll('\t', '\\u0009');
}
