import type { Position } from './json-row.ts';
import type { BadBytes, TextChunk } from './decode.ts';

/** The text of one JSON value. Only quotes and brackets were checked. */
export interface ScannedValue {
  /** Empty when it was not kept or is `too-large`. */
  text: string;
  at: Position;
  /** `open`: the file ends within the value. `too-large`: reading stopped within it. */
  end: 'closed' | 'open' | 'too-large';
  bad: BadBytes | undefined;
}

const STRING_STOP = /["\\]/g;
const NESTED_STOP = /["{}[\]]/g;
const SCALAR_STOP = /[\s,:"[\]{}]/g;

/** Reads a JSON text value by value, in constant memory. */
export class JsonCursor {
  readonly #chunks: AsyncIterator<TextChunk, void, void>;
  #text = '';
  #at = 0;
  #line = 1;
  /** Plus `#at`: the 1-based column. */
  #columnBase = 1;
  #nextLf = Infinity;
  /** Undecodable bytes since the last value. */
  #bad: BadBytes | undefined;
  /** The bytes that the last character of `#text` replaces, if they could not be decoded. */
  #badAtEnd: BadBytes | undefined;

  constructor(chunks: AsyncGenerator<TextChunk, void, void>) {
    this.#chunks = chunks;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  get position(): Position {
    return { line: this.#line, column: this.#columnBase + this.#at };
  }

  /** Skips white space, and returns the next character, or `''` at the end. */
  async peek(): Promise<string> {
    for (;;) {
      while (this.#at < this.#text.length) {
        const character = this.#text[this.#at] ?? '';
        if (!' \t\n\r'.includes(character)) return character;
        this.#moveTo(this.#at + 1);
      }
      if (!(await this.#load())) return '';
    }
  }

  /** Skips the character of `peek`. */
  skip(): void {
    this.#moveTo(this.#at + 1);
  }

  /** The text here, for a message. */
  rest(): string {
    return this.#text.slice(this.#at, this.#at + 50);
  }

  /** The undecodable bytes since the last value, or here. */
  takeBad(): BadBytes | undefined {
    if (this.#at === this.#text.length - 1) this.#meetBad();
    const bad = this.#bad;
    this.#bad = undefined;
    return bad;
  }

  /** Reads the value that begins with the character of `peek`. */
  async value(limit: number, keep = true): Promise<ScannedValue> {
    const at = this.position;
    const scanner = new ValueScanner();
    const parts: string[] = [];
    let length = 0;
    for (;;) {
      const stop = scanner.scan(this.#text, this.#at);
      const end = stop ?? this.#text.length;
      length += end - this.#at;
      if (keep) parts.push(this.#text.slice(this.#at, end));
      this.#moveTo(end);
      if (keep && length > limit) return { text: '', at, end: 'too-large', bad: this.takeBad() };
      const open = stop === undefined && !(await this.#load());
      if (stop !== undefined || open) {
        const isOpen = open && !scanner.scalar;
        return { text: parts.join(''), at, end: isOpen ? 'open' : 'closed', bad: this.takeBad() };
      }
    }
  }

  #moveTo(index: number): void {
    while (this.#nextLf < index) {
      this.#line += 1;
      this.#columnBase = -this.#nextLf;
      this.#findLf(this.#nextLf + 1);
    }
    if (index === this.#text.length) this.#meetBad();
    this.#at = index;
  }

  /** Remembered, because a search for each token would read a file of one long line many times. */
  #findLf(from: number): void {
    const found = this.#text.indexOf('\n', from);
    this.#nextLf = found === -1 ? Infinity : found;
  }

  #meetBad(): void {
    if (this.#badAtEnd === undefined) return;
    if (this.#bad === undefined || this.#badAtEnd.gaveUp) this.#bad = this.#badAtEnd;
    this.#badAtEnd = undefined;
  }

  async #load(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#columnBase += this.#text.length;
    this.#text = next.value.text;
    this.#at = 0;
    this.#findLf(0);
    this.#badAtEnd = next.value.bad;
    return true;
  }
}

/** Finds the end of one value, chunk by chunk. */
class ValueScanner {
  scalar = false;
  #started = false;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** The index after the value; absent when it continues in the next chunk. */
  scan(text: string, from: number): number | undefined {
    let at = from;
    if (!this.#started && at < text.length) {
      this.#started = true;
      const first = text[at] ?? '';
      this.#inString = first === '"';
      if (first === '{' || first === '[') this.#depth = 1;
      this.scalar = !this.#inString && this.#depth === 0;
      at += 1;
    }
    if (this.scalar) return nextMatch(SCALAR_STOP, text, at);
    while (at < text.length) {
      if (this.#escaped) {
        this.#escaped = false;
        at += 1;
        continue;
      }
      const stop = nextMatch(this.#inString ? STRING_STOP : NESTED_STOP, text, at);
      if (stop === undefined) return undefined;
      at = stop + 1;
      this.#take(text[stop] ?? '');
      if (this.#depth === 0 && !this.#inString) return at;
    }
    return undefined;
  }

  #take(character: string): void {
    if (this.#inString) {
      if (character === '\\') this.#escaped = true;
      else this.#inString = false;
    } else if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else this.#depth -= 1;
  }
}

function nextMatch(pattern: RegExp, text: string, from: number): number | undefined {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index;
}
