import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** What a stream has said so far, and whoever waits for more. */
export class Lines {
  text = '';
  readonly #lines: string[] = [];
  readonly #waiting = new Set<{ pattern: RegExp; left: number; resolve: (line: string) => void }>();

  constructor(stream: Readable) {
    stream.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    createInterface({ input: stream }).on('line', (line) => this.#hear(line));
  }

  /** Resolves with the `times`-th line that matches, from the beginning on. */
  async find(pattern: RegExp, times = 1): Promise<string> {
    const found = this.#lines.filter((line) => pattern.test(line));
    const before = found[times - 1];
    if (before !== undefined) return before;
    return new Promise((resolve) => {
      this.#waiting.add({ pattern, left: times - found.length, resolve });
    });
  }

  #hear(line: string): void {
    this.#lines.push(line);
    for (const one of this.#waiting) {
      if (!one.pattern.test(line)) continue;
      one.left -= 1;
      if (one.left > 0) continue;
      this.#waiting.delete(one);
      one.resolve(line);
    }
  }
}
