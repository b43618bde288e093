import type { DestinationStream } from 'pino';
import { formatCount, formatDuration } from '../core/units.ts';
import type { Io } from './io.ts';

/** Escapes control characters, so that text of files and providers cannot steer the terminal. Lines stay lines. */
export function terminalText(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (c) =>
    c === '\n' || c === '\t' ? c : `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

const CLEAR_LINE = '\r\u001b[2K';

/** A line on the terminal that is drawn again and again. Without a terminal, nothing is drawn. */
export class Progress {
  readonly #io: Io;
  readonly #stream: Pick<NodeJS.WriteStream, 'write'>;
  readonly #startedAt = performance.now();
  #shown = false;
  #text = '';

  constructor(io: Io, stream: Pick<NodeJS.WriteStream, 'write'> = process.stderr) {
    this.#io = io;
    this.#stream = stream;
  }

  /** Whether a line would be shown. A command that ends within one second shows none. */
  isSeen(): boolean {
    return this.#io.interactive && performance.now() - this.#startedAt >= 1000;
  }

  show(text: string): void {
    if (!this.isSeen()) return;
    this.#text = terminalText(text).slice(0, Math.max(20, this.#io.columns - 1));
    this.#stream.write(`${CLEAR_LINE}${this.#text}`);
    this.#shown = true;
  }

  /** Writes text above the line. */
  above(text: string): void {
    if (this.#shown) this.#stream.write(CLEAR_LINE);
    this.#stream.write(this.#io.interactive ? terminalText(text) : text);
    if (this.#shown) this.#stream.write(this.#text);
  }

  clear(): void {
    if (this.#shown) this.#stream.write(CLEAR_LINE);
    this.#shown = false;
  }
}

/** `▕██████░░░░▏ 60%  1,200 of 2,000 rows  41.2/s  ETA 19s`. `rate`: a second. */
export function bar(
  { done, total, rate, noun = 'rows' }: { done: number; total: number; rate: number; noun?: string },
  width = 24,
): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.round(share * width);
  const eta = rate > 0 && done < total ? `  ETA ${formatDuration(((total - done) / rate) * 1000)}` : '';
  return `▕${'█'.repeat(full)}${'░'.repeat(width - full)}▏ ${Math.floor(share * 100)}%  ${formatCount(done)} of ${formatCount(total)} ${noun}  ${rate.toFixed(1)}/s${eta}`;
}

/** Measures how many things a second are done, over about the last ten seconds. */
export class Speed {
  readonly #marks: { at: number; done: number }[] = [];

  measure(done: number, at: number = performance.now()): number {
    this.#marks.push({ at, done });
    while (this.#marks.length > 2 && at - (this.#marks[0]?.at ?? at) > 10_000) this.#marks.shift();
    const first = this.#marks[0];
    if (first === undefined || at - first.at < 1) return 0;
    return Math.max(0, ((done - first.done) / (at - first.at)) * 1000);
  }
}

/** Writes the log above the bar: as a line of text on a terminal, otherwise as JSON. */
export function logAbove(
  progress: Pick<Progress, 'above'>,
  { interactive }: Pick<Io, 'interactive'>,
): DestinationStream {
  return { write: (text) => progress.above(interactive ? `${formatLogLine(text)}\n` : text) };
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

/** `23:38:39 warn  text shot-007: rejected: prompt policy violation (attempt 1, httpStatus 400)` */
export function formatLogLine(json: string): string {
  const record = JSON.parse(json) as Record<string, unknown>;
  const { time, level, batch, key, msg, reason } = record;
  const row = [batch, key].filter((part) => part !== undefined).map(oneLineText);
  const said = [row.join(' '), ...[msg, reason].filter((part) => part !== undefined).map(oneLineText)];
  const rest = Object.entries(record)
    .filter(([name, value]) => !NOT_IN_REST.has(name) && value !== msg && value !== null)
    .map(([name, value]) => `${name} ${oneLineText(value)}`);
  const text = said.filter((part) => part !== '').join(': ');
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${text}${rest.length === 0 ? '' : ` (${rest.join(', ')})`}`;
}

function oneLineText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return terminalText(text).replaceAll('\n', '\\u000a').replaceAll('\t', '\\u0009');
}
