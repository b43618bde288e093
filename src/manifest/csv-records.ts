import { excerpt } from '../core/text.ts';
import { CsvError, parse, type Parser } from 'csv-parse';
import { faultAt, MAX_RECORD, type Fault } from './entry.ts';
import { type BadBytes, badBytesFault, type TextChunk } from './decode.ts';

/** One record of the file. Blank lines are skipped. */
export interface CsvRecord {
  /** 1-based line on which it begins. */
  line: number;
  cells: string[];
  /** Undecodable bytes, and misplaced quotes. An unreadable record has no cells. */
  faults: Fault[];
}

interface CsvOptions {
  delimiter: string;
  /** Line of the first character; 2 after a `sep=` line. */
  firstLine: number;
  /** Largest record in bytes. */
  maxRecord?: number;
}

/**
 * Splits text into records with csv-parse. Broken text is a fault of a record, and never an exception. If the start of the
 * next record is unclear, the last record has a fault.
 */
export async function* csvRecords(
  chunks: AsyncIterable<TextChunk>,
  options: CsvOptions,
): AsyncGenerator<CsvRecord, void, void> {
  const maxRecord = options.maxRecord ?? MAX_RECORD;
  // Collected by on_record, because the stream drops parsed records when it fails.
  const parsed: { cells: string[]; end: number }[] = [];
  const parser = parse({
    delimiter: options.delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    // Quotes in the wrong place are judged by `quoteFlaw`.
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: maxRecord,
    on_record: (cells, info) => {
      parsed.push({ cells, end: info.bytes });
      return undefined;
    },
  });
  parser.on('error', () => undefined); // Errors arrive by the callbacks of write and end.
  const lines = new LineCounter(options.firstLine);
  const bad: { position: number; bytes: BadBytes }[] = [];
  let written = 0;

  /** Returns true when the rest of the file cannot be read. */
  function* takeParsed(): Generator<CsvRecord, boolean, void> {
    for (const { cells, end } of parsed.splice(0)) {
      const line = lines.recordStart();
      const text = cells.some((cell) => QUOTE.test(cell)) ? lines.peekTo(end).toString() : '';
      const flaw = quoteFlaw(text, options.delimiter);
      lines.advanceTo(end);
      const faults = badBefore(bad, end, line);
      const refused = flaw?.severity === 'error';
      if (flaw !== undefined) {
        const { rule, message, severity } = flaw;
        faults.push(faultAt(line, rule, message, refused ? { scope: 'file' } : { severity }));
      }
      yield { line, cells: refused ? [] : cells, faults };
      if (flaw?.ends === true) return true;
    }
    return false;
  }

  try {
    for await (const chunk of chunks) {
      const bytes = Buffer.from(chunk.text);
      lines.push(bytes);
      written += bytes.length;
      if (chunk.bad !== undefined) bad.push({ position: written - 1, bytes: chunk.bad });
      const error = await write(parser, bytes);
      if (yield* takeParsed()) return;
      if (error !== undefined) {
        yield brokenRecord(lines.recordStart(), error, maxRecord);
        return;
      }
    }
    const error = await end(parser);
    if (yield* takeParsed()) return;
    if (error !== undefined) {
      const line = lines.recordStart();
      const broken = brokenRecord(line, error, maxRecord);
      yield { ...broken, faults: [...broken.faults, ...badBefore(bad, Infinity, line)] };
    }
  } finally {
    parser.destroy();
  }
}

/** csv-parse ends a cell at a NUL behind a closing quote. */
const QUOTE = /["\0]/;

/** Takes the bad places before `end` from `bad`. A record gets one fault. */
function badBefore(bad: { position: number; bytes: BadBytes }[], end: number, line: number): Fault[] {
  const after = bad.findIndex(({ position }) => position >= end);
  const [first] = bad.splice(0, after === -1 ? bad.length : after);
  return first === undefined ? [] : [badBytesFault(line, first.bytes)];
}

function write(parser: Parser, bytes: Buffer): Promise<Error | undefined> {
  return new Promise((resolve) => {
    parser.write(bytes, (error) => {
      resolve(error ?? undefined);
    });
  });
}

function end(parser: Parser): Promise<Error | undefined> {
  return new Promise((resolve) => {
    parser.once('error', resolve);
    parser.end(() => {
      resolve(undefined);
    });
  });
}

function brokenRecord(line: number, error: Error, maxRecord: number): CsvRecord {
  const [rule, what] = diagnosis(error, maxRecord);
  const message = `${what}; this row and the rest of the file could not be read`;
  return { line, cells: [], faults: [faultAt(line, rule, message, { scope: 'file' })] };
}

function diagnosis(error: Error, maxRecord: number): [rule: string, what: string] {
  // A string, because a code is missing in csv-parse's own type.
  const code: string = error instanceof CsvError ? error.code : '';
  switch (code) {
    case 'CSV_MAX_RECORD_SIZE':
      return ['record-too-large', `a row of more than ${maxRecord} bytes; probably a quote is not closed`];
    case 'CSV_QUOTE_NOT_CLOSED':
      return ['csv-quote', 'a quote that opens a cell of this row is never closed'];
    default:
      return ['csv-broken', `not readable as CSV: ${excerpt(error.message)}`];
  }
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * Turns byte offsets of records into line numbers, because csv-parse counts a CR LF within quotes twice. Holds only the
 * bytes after the last record.
 */
class LineCounter {
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

  /** Skips blank lines, and returns the line on which the next record begins. */
  recordStart(): number {
    this.#consume((byte) => byte === LF || byte === CR);
    return this.#line;
  }

  /** The bytes before `offset` that belong to no record yet. */
  peekTo(offset: number): Buffer {
    const length = offset - this.#offset;
    const [first] = this.#pending;
    // Most records are within one chunk, and need no copy.
    return first !== undefined && first.length >= length
      ? first.subarray(0, length)
      : Buffer.concat(this.#pending, length);
  }

  /** Skips the bytes before `offset`. */
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

/** `ends`: the start of the next record is unclear. */
interface QuoteFlaw {
  severity: 'error' | 'warning';
  rule: string;
  message: string;
  ends: boolean;
}

/**
 * Judges the quotes of one record; csv-parse accepts them everywhere. In an unquoted cell, a quote is text, as in
 * spreadsheets. After text behind a closing quote, or a quote after spaces, the end of the cell is unclear: the file is
 * refused.
 */
export function quoteFlaw(text: string, delimiter: string): QuoteFlaw | undefined {
  let literal = false;
  for (const cell of cellsOf(text, delimiter)) {
    const broken = breach(cell);
    if (broken !== undefined) {
      const ends = (text.split('"').length - 1) % 2 === 1;
      const rest = ends ? '; this row and the rest of the file could not be read' : '';
      return { severity: 'error', rule: 'csv-quote', message: `${broken}${rest}`, ends };
    }
    literal ||= !cell.startsWith('"') && cell.includes('"');
  }
  if (!literal) return undefined;
  const message =
    'a quote within a cell that is not quoted is read as a quote; to be sure, quote the cell and write "" for a quote';
  return { severity: 'warning', rule: 'quote-in-cell', message, ends: false };
}

/** The cells with their quotes; after its closing quote, a cell continues to the next delimiter. */
function* cellsOf(text: string, delimiter: string): Generator<string, void, void> {
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (at === from && text[at] === '"') at = closing(text, at);
    else if (text.startsWith(delimiter, at)) {
      yield text.slice(from, at);
      from = at + delimiter.length;
      at = from - 1;
    }
  }
  yield text.slice(from).replace(/[\r\n]+$/, '');
}

/** The index of the quote that closes the one at `at`. */
function closing(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 2)) {
    if (text[end + 1] !== '"') return end;
  }
  return text.length;
}

function breach(cell: string): string | undefined {
  if (cell.startsWith('"') && closing(cell, 0) < cell.length - 1) {
    return 'text after the closing quote of a cell; a quote within a quoted cell is written ""';
  }
  return /^\s+"/.test(cell)
    ? 'a space before the quote that opens a cell; remove it, or quote the whole cell and write "" for a quote'
    : undefined;
}
