/**
 * The room `manifest` turns files into checked rows: formats, encodings, and the rules of a request.
 * It may import provider, ledger, database and core.
 */
import type { Readable } from 'node:stream';
import { refusal, usageError, VidbatchError } from '../core/errors.ts';
import type { Fault, Manifest, ManifestEntry } from './entry.ts';
import { openSource, type ByteSource } from './bytes.ts';
import { csvRecords, type CsvRecord } from './csv-records.ts';
import {
  csvEntries,
  isBlank,
  readHeader,
  parseDelimiter,
  separatorLine,
  sniffDelimiter,
} from './csv-rows.ts';
import { detectEncoding, type Encoding } from './encoding.ts';
import { exportDelimiter, exportedEntries, findExport, readName, unwrap } from './export-format.ts';
import { refuseOtherFormat, formatOf, formatUnknown, isTabSeparated } from './file-format.ts';
import { jsonEntries } from './json-list.ts';
import { jsonlEntries } from './jsonl.ts';
import { decodeText, type TextChunk } from './decode.ts';

export interface ManifestOptions {
  /** `csv`, `json`, `jsonl` or `xlsx`. Default: by the extension. */
  format?: string;
  /** A WHATWG label. Default: detected. */
  encoding?: string;
  /** CSV: one character or `tab`. Default: detected. */
  delimiter?: string;
  /** CSV and XLSX: lines to skip above the header. */
  skipLines?: number;
  /** XLSX: the name of the sheet. Default: the only one that is not hidden. */
  sheet?: string;
  /** JSON: the list may be within an object, as from gateways: `{"total": 2, "data": […]}`. */
  wrapped?: boolean;
  /** The source of `-`. */
  stdin?: Readable;
}

/**
 * Opens the manifest at a path, or on standard input for `-`, and reads its beginning. A file is open only while the entries
 * are iterated.
 * @throws VidbatchError exit 2 for a missing file or an unknown format, exit 3 for an empty or binary file.
 */
export async function openManifest(source: string, options: ManifestOptions = {}): Promise<Manifest> {
  const format = formatOf(source, options.format);
  if (source === '-' && format === undefined) throw formatUnknown(source);
  const bytes = await openSource(source, options.stdin ?? process.stdin);
  if (bytes.head.length === 0) throw empty(source);
  if (format === 'xlsx') return openSheet(source, bytes, options);
  if (options.sheet !== undefined)
    throw usageError(
      'SHEET_OF_XLSX',
      `--sheet: ${source} is not an Excel workbook (.xlsx), and has no sheets`,
      'Leave --sheet out.',
    );
  const foreign = refuseOtherFormat(bytes);
  if (foreign !== undefined) throw foreign;
  if (format === undefined) throw formatUnknown(source);

  const encoding = await detectEncoding(bytes, options.encoding);
  const head = decodeHead(bytes, encoding);
  if (bytes.complete && head.trim() === '') throw empty(source);
  const text = (): AsyncGenerator<TextChunk, void, void> =>
    decodeText(bytes.read(), encoding.label, encoding.bomBytes);
  const shared = {
    name: source,
    format,
    encoding: encoding.label,
    faults: encodingFaults(encoding),
    isChanged: () => bytes.isChanged(),
  };
  if (format !== 'csv' && (options.skipLines ?? 0) > 0) {
    throw usageError(
      'SKIP_LINES_OF_CSV',
      `--skip-lines: ${source} is ${format}, and has no header`,
      'Leave --skip-lines out.',
    );
  }
  if (format === 'csv') return openCsv(shared, bytes, text, head, options);
  const { rereadable } = bytes;
  const wrapped = options.wrapped === true;
  const entries =
    format === 'json'
      ? () => jsonEntries({ open: text, rereadable, wrapped })
      : () => jsonlEntries(text(), { wrapped });
  return {
    ...shared,
    // Generated JSON may be one long line.
    byRow: format === 'json' && !head.trim().includes('\n'),
    entries: once(source, () => (wrapped ? entries() : unwrapped(entries()))),
  };
}

async function openCsv(
  shared: Omit<Manifest, 'entries'>,
  bytes: ByteSource,
  text: () => AsyncGenerator<TextChunk, void, void>,
  head: string,
  options: ManifestOptions,
): Promise<Manifest> {
  const above = linesLength(bytes.name, head, options.skipLines ?? 0);
  const separator = separatorLine(head.slice(above));
  const skip = above + (separator?.length ?? 0);
  const sniffed =
    separator?.delimiter ??
    (isTabSeparated(bytes.name) ? '\t' : (exportDelimiter(head) ?? sniffDelimiter(head.slice(skip))));
  const delimiter = options.delimiter === undefined ? sniffed : parseDelimiter(options.delimiter);
  const firstLine = (options.skipLines ?? 0) + (separator === undefined ? 1 : 2);
  const open = (): AsyncGenerator<CsvRecord, void, void> =>
    csvRecords(withoutStart(text(), skip), { delimiter, firstLine });

  const firstLines = head.split(/\r\n|\n|\r/, LINES_SHOWN).map((line) => line.slice(0, 4096));
  return openTable({ ...shared, delimiter, firstLines }, open, bytes.rereadable);
}

/** A sheet of an Excel workbook, as if it had been saved as CSV. */
async function openSheet(source: string, bytes: ByteSource, options: ManifestOptions): Promise<Manifest> {
  if (!bytes.rereadable || source === '-') {
    throw usageError(
      'workbook-stream',
      `${source === '-' ? 'standard input' : source}: an Excel workbook can be read from a file only`,
      'Save it, and name the file.',
    );
  }
  const shared = {
    name: source,
    format: 'csv' as const,
    encoding: 'utf-8',
    delimiter: ',',
    faults: [],
    isChanged: () => bytes.isChanged(),
  };
  const open = async function* (): AsyncGenerator<CsvRecord, void, void> {
    // Loaded here, because most manifests are no workbooks.
    const { openWorkbook } = await import('./workbook.ts');
    const { sheetRecords } = await import('./sheet-records.ts');
    const workbook = await openWorkbook(source, options.sheet);
    try {
      yield* sheetRecords(source, workbook, options.skipLines ?? 0);
    } finally {
      workbook.close();
    }
  };
  return openTable(shared, open, true);
}

/** Reads the header of a table. `rereadable`: `open` may be called more than once. */
async function openTable(
  shared: Omit<Manifest, 'entries'>,
  open: () => AsyncGenerator<CsvRecord, void, void>,
  rereadable: boolean,
): Promise<Manifest> {
  const { name } = shared;
  const beginning = open();
  const record = await headerRecord(beginning);
  const firstLines = shared.firstLines ?? (await recordLines(record, beginning));
  if (rereadable) await beginning.return();
  if (record === undefined) throw empty(name);
  if (record.cells.length === 0) throw unreadableHeader(name, record);
  const exported = findExport(record.cells);
  const header =
    exported === undefined
      ? readHeader(record)
      : readHeader({ ...record, cells: exported.input.map((index) => record.cells[index] ?? '') }, readName);
  return {
    ...shared,
    firstLines,
    columns: header.columns.filter(({ kind }) => kind !== 'unnamed').map((column) => column.header),
    layout: header.columns.map((column) => column.header),
    exported: exported !== undefined,
    faults: [...shared.faults, ...header.faults],
    entries: once(name, async function* () {
      const records = rereadable ? open() : beginning;
      if (rereadable) await headerRecord(records);
      if (exported === undefined) yield* csvEntries(records, header);
      else yield* exportedEntries(records, header, exported);
    }),
  };
}

async function* unwrapped(entries: AsyncIterable<ManifestEntry>): AsyncGenerator<ManifestEntry, void, void> {
  for await (const entry of entries) yield unwrap(entry);
}

/** The first record that is not blank. */
async function headerRecord(records: AsyncGenerator<CsvRecord, void, void>): Promise<CsvRecord | undefined> {
  for (;;) {
    const next = await records.next();
    if (next.done === true) return undefined;
    if (!isBlank(next.value)) return next.value;
  }
}

/** The first rows of a sheet, written as lines. An empty line takes the place of a row that the file leaves out. */
async function recordLines(
  header: CsvRecord | undefined,
  records: AsyncGenerator<CsvRecord, void, void>,
): Promise<string[]> {
  const lines: string[] = [];
  let record = header;
  while (record !== undefined && record.line <= LINES_SHOWN) {
    while (lines.length < record.line - 1) lines.push('');
    lines.push(record.cells.map((cell) => cell.replaceAll(/\s+/g, ' ')).join('\t'));
    const next = await records.next();
    record = next.done === true ? undefined : next.value;
  }
  return lines;
}

async function* withoutStart(
  chunks: AsyncGenerator<TextChunk, void, void>,
  length: number,
): AsyncGenerator<TextChunk, void, void> {
  let left = length;
  for await (const chunk of chunks) {
    const { text } = chunk;
    if (text.length > left || chunk.bad?.gaveUp === true)
      yield left === 0 ? chunk : { ...chunk, text: text.slice(left) };
    left = Math.max(0, left - text.length);
  }
}

/** The lines of a table in which a header below a title is looked for. */
const LINES_SHOWN = 20;

/** The length of the first lines of a file, with their line breaks. */
function linesLength(name: string, head: string, lines: number): number {
  const ends = [...head.matchAll(/\r\n|\n|\r/g)];
  const end = ends[lines - 1];
  if (lines === 0) return 0;
  if (end === undefined) {
    throw refusal(
      'SKIP_LINES',
      `--skip-lines ${lines}: ${name} has fewer lines, or they are too long`,
      'Give the number of lines above the header.',
    );
  }
  return end.index + end[0].length;
}

function unreadableHeader(name: string, { line, faults: [fault] }: CsvRecord): VidbatchError {
  return refusal(
    'manifest-header',
    `${name}:${line}: the header cannot be read: ${fault?.message ?? ''}`,
    'Correct that line. If the header is further down, skip what is above it: --skip-lines N.',
  );
}

function decodeHead(bytes: ByteSource, encoding: Encoding): string {
  const decoder = new TextDecoder(encoding.label, { ignoreBOM: true });
  return decoder.decode(bytes.head.subarray(encoding.bomBytes), { stream: !bytes.complete });
}

function encodingFaults(encoding: Encoding): Fault[] {
  if (!encoding.doubtful) return [];
  const message = `not UTF-8, and read as ${encoding.label} though it does not look like everyday Chinese; confirm or correct it with --encoding`;
  return [{ severity: 'warning', line: 1, rule: 'encoding-guessed', message }];
}

function empty(name: string): VidbatchError {
  return refusal(
    'manifest-empty',
    `${name} is empty`,
    'A manifest has a header and rows, or a list of objects.',
  );
}

function once(
  name: string,
  entries: () => AsyncGenerator<ManifestEntry, void, void>,
): AsyncIterable<ManifestEntry> {
  let used = false;
  return {
    [Symbol.asyncIterator]() {
      if (used) {
        throw new VidbatchError(
          'manifest-iterated',
          `the entries of ${name} were already iterated; open the manifest again`,
        );
      }
      used = true;
      return entries();
    },
  };
}
