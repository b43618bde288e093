import { count, duration } from '../core/format.ts';
import type { Io } from './io.ts';
import { terminalText } from './terminal-text.ts';

/** A line on the terminal that is drawn over and over. Without a terminal, nothing is drawn. */
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

  /** Whether a line would be shown. A command that ends within its first second needs no bar. */
  isSeen(): boolean {
    return this.#io.interactive && performance.now() - this.#startedAt >= 1000;
  }

  show(text: string): void {
    if (!this.isSeen()) return;
    this.#text = terminalText(text).slice(0, Math.max(20, this.#io.columns - 1));
    this.#stream.write(`\r\u001b[2K${this.#text}`);
    this.#shown = true;
  }

  /** Something else is written meanwhile: above the line. */
  above(text: string): void {
    if (this.#shown) this.#stream.write('\r\u001b[2K');
    this.#stream.write(this.#io.interactive ? terminalText(text) : text);
    if (this.#shown) this.#stream.write(this.#text);
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[2K');
    this.#shown = false;
  }
}

export interface Pace {
  done: number;
  total: number;
  /** Rows a second, over the last while. */
  rate: number;
  /** What is counted; rows. */
  noun?: string;
}

/** `▕██████░░░░▏ 60%  1,200 of 2,000 rows  41.2/s  ETA 19s` */
export function bar({ done, total, rate, noun = 'rows' }: Pace, width = 24): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.round(share * width);
  const eta = rate > 0 && done < total ? `  ETA ${duration(((total - done) / rate) * 1000)}` : '';
  return `▕${'█'.repeat(full)}${'░'.repeat(width - full)}▏ ${Math.floor(share * 100)}%  ${count(done)} of ${count(total)} ${noun}  ${rate.toFixed(1)}/s${eta}`;
}

/** Rows a second over the last ten seconds or so. */
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
