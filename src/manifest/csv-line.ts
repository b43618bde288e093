const LF = 0x0a;
const CR = 0x0d;

/**
 * Turns byte offsets of records into line numbers. The parser's own count is not used: it counts a CR LF
 * within quotes twice. Holds only the bytes that no record has claimed yet.
 */
export class LineCounter {
  #line: number;
  #afterCr = false;
  /** Offset of the next byte to be counted. */
  #offset = 0;
  #pending: Buffer[] = [];

  constructor(firstLine: number) {
    this.#line = firstLine;
  }

  push(bytes: Buffer): void {
    this.#pending.push(bytes);
  }

  /** Passes over blank lines; the line on which the next record begins. */
  recordStart(): number {
    this.#consume((byte) => byte === LF || byte === CR);
    return this.#line;
  }

  /** What no record has claimed before `offset`. */
  peekTo(offset: number): Buffer {
    const length = offset - this.#offset;
    const [first] = this.#pending;
    // Most records lie within one chunk: a copy for each of them would cost more than the reading.
    return first !== undefined && first.length >= length
      ? first.subarray(0, length)
      : Buffer.concat(this.#pending, length);
  }

  /** Passes over everything before `offset`. */
  advanceTo(offset: number): void {
    this.#consume(() => this.#offset < offset);
  }

  #consume(wanted: (byte: number) => boolean): void {
    for (let buffer = this.#pending[0]; buffer !== undefined; buffer = this.#pending[0]) {
      let used = 0;
      for (; used < buffer.length; used += 1) {
        const byte = buffer[used] ?? 0;
        if (!wanted(byte)) break;
        this.#offset += 1;
        // A line ends with LF, CR or CR LF; the LF of a CR LF ends nothing more.
        if (byte === CR || (byte === LF && !this.#afterCr)) this.#line += 1;
        this.#afterCr = byte === CR;
      }
      if (used < buffer.length) {
        this.#pending[0] = buffer.subarray(used);
        return;
      }
      this.#pending.shift();
    }
  }
}
