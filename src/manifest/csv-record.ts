import { CsvError, parse, type Parser } from 'csv-parse';
import type { Fault } from './fault.ts';
import { LineCounter } from './csv-line.ts';
import { readQuoting } from './csv-quoting.ts';
import { excerpt, MAX_RECORD } from './entry.ts';
import { badBytesFault, type BadBytes, type TextChunk } from './text.ts';

/** One record as it stands in the file; blank lines are none. */
export interface CsvRecord {
  /** 1-based line on which it begins. */
  line: number;
  cells: string[];
  /** Undecodable bytes, and quotes in the wrong place; a record that cannot be read has no cells. */
  faults: Fault[];
}

export interface CsvOptions {
  delimiter: string;
  /** Line of the first character; 2 after a `sep=` line. */
  firstLine: number;
  /** Largest record in bytes. */
  maxRecord?: number;
}

/**
 * Splits text into records with csv-parse. Never throws for what the text is: where the next record would begin by a
 * guess, it ends with a record that has a fault.
 */
export async function* csvRecords(
  chunks: AsyncIterable<TextChunk>,
  options: CsvOptions,
): AsyncGenerator<CsvRecord, void, void> {
  const maxRecord = options.maxRecord ?? MAX_RECORD;
  // Records are taken in on_record rather than read from the stream: its error throws away those that were
  // parsed before it and not yet read.
  const parsed: { cells: string[]; end: number }[] = [];
  const parser = parse({
    delimiter: options.delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    // Quotes in the wrong place are judged by `readQuoting`.
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
      const { flaw, ends = false } = readQuoting(text, options.delimiter);
      lines.advanceTo(end);
      const faults = badBefore(bad, end, line);
      if (flaw !== undefined) faults.push({ ...flaw, line });
      yield { line, cells: flaw?.severity === 'error' ? [] : cells, faults };
      if (ends) return true;
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

/** csv-parse takes a NUL behind a closing quote for the end of the text. */
const QUOTE = /["\0]/;

/** Takes the bad places before `end` out of `bad`; one fault for a record is enough. */
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
  return { line, cells: [], faults: [{ severity: 'error', line, rule, message, scope: 'file' }] };
}

function diagnosis(error: Error, maxRecord: number): [rule: string, what: string] {
  // A string, since csv-parse's own list of codes leaves one out.
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
