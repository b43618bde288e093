import { formatCount, formatDuration } from '../../core/units.ts';
import { cutToWidth } from '../../core/width.ts';
import type { Io } from './io.ts';
import { render, terminalText, type Line } from './style.ts';

const CLEAR_LINE = '\r\u001b[2K';

/** A line on the terminal that is drawn again and again. Without a terminal, nothing is drawn. */
export class Progress {
  readonly #io: Io;
  readonly #stream: NodeJS.WriteStream;
  readonly #startedAt = performance.now();
  #shown = false;
  #text = '';

  constructor(io: Io, stream: NodeJS.WriteStream = process.stderr) {
    this.#io = io;
    this.#stream = stream;
  }

  /** Whether a line would be shown. A command that ends within one second shows none. */
  isSeen(): boolean {
    return this.#io.interactive && performance.now() - this.#startedAt >= 1000;
  }

  show(text: string): void {
    if (!this.isSeen()) return;
    this.#text = cutToWidth(terminalText(text), Math.max(20, this.#io.columns - 1));
    this.#stream.write(`${CLEAR_LINE}${this.#text}`);
    this.#shown = true;
  }

  /** Writes a line above the line. */
  above(line: Line): void {
    this.write(`${render(line, this.#stream)}\n`);
  }

  /** Writes whole lines above the line, as they are. */
  write(text: string): void {
    if (this.#shown) this.#stream.write(CLEAR_LINE);
    this.#stream.write(text);
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
