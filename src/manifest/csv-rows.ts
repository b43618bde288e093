import { plural } from '../core/units.ts';
import { excerpt } from '../core/text.ts';
import { faultAt, setField, type Fault, type ManifestEntry, type RawRow } from './entry.ts';
import type { CsvRecord } from './csv-records.ts';
import { usageError } from '../core/errors.ts';

/** One column of the header. */
interface CsvColumn {
  /** As in the header, trimmed. */
  header: string;
  /** The key of its cells in a row: the header, or `column_<n>` (1-based) if the header is not unique. */
  name: string;
  /** `unnamed`: the header is empty. `ambiguous`: several columns have this header, so none of them is a field. */
  kind: 'named' | 'unnamed' | 'ambiguous';
}

export interface CsvHeader {
  columns: CsvColumn[];
  /** Cells of unnamed last columns may be missing. */
  minimumCells: number;
  /** The key for the cells of an unnamed column; 0-based. */
  nameAt: (index: number) => string;
  faults: Fault[];
}

/**
 * Reads the header record. Two columns with one name are an error of the file. `nameOf` reads a cell of the header.
 */
export function readHeader(
  record: CsvRecord,
  nameOf: (cell: string) => string = (cell) => cell.trim(),
): CsvHeader {
  const cells = record.cells.map((cell) => cell.trim());
  const names = cells.map(nameOf);
  const named = [...names.keys()].filter((index) => cells[index] !== '');
  const positions = Map.groupBy(named, (index) => names[index] ?? '');
  const faults = [...record.faults];
  for (const [name, [first = 0, ...others]] of positions) {
    if (others.length === 0) continue;
    const numbers = [first, ...others].map((index) => index + 1).join(' and ');
    const message = `columns ${numbers} are both named ${excerpt(name)}; rename one of them`;
    faults.push(faultAt(record.line, 'duplicate-header', message, { column: name }));
  }
  const nameAt = (index: number): string => {
    let name = `column_${index + 1}`;
    while (positions.has(name)) name += '_';
    return name;
  };
  const columns = names.map((header, index): CsvColumn => {
    if (cells[index] === '') return { header, name: nameAt(index), kind: 'unnamed' };
    const alone = positions.get(header)?.length === 1;
    return alone
      ? { header, name: header, kind: 'named' }
      : { header, name: nameAt(index), kind: 'ambiguous' };
  });
  const minimumCells = columns.findLastIndex(({ kind }) => kind !== 'unnamed') + 1;
  return { columns, minimumCells, nameAt, faults };
}

/** Spreadsheets leave records of blank cells below the data. */
export function isBlank(record: CsvRecord): boolean {
  return record.faults.length === 0 && record.cells.every((cell) => cell.trim() === '');
}

/** The entries of the records after the header. Cell text is kept exactly as it is. */
export async function* csvEntries(
  records: AsyncIterable<CsvRecord>,
  header: CsvHeader,
): AsyncGenerator<ManifestEntry, void, void> {
  for await (const record of records) {
    if (!isBlank(record)) yield csvEntry(record, header);
  }
}

/** Keeps every cell, also one without a column, so that a person finds it in the row. */
export function csvEntry(record: CsvRecord, header: CsvHeader): ManifestEntry {
  const { line, cells } = record;
  const raw: RawRow = {};
  const faults: Fault[] = [...record.faults];
  for (const [index, cell] of cells.entries()) {
    const { name, kind } = header.columns[index] ?? { name: header.nameAt(index), kind: 'beyond' };
    if (cell === '' && kind !== 'named') continue;
    if (kind === 'unnamed') {
      const message = `column ${index + 1} has a value but no name in the header; it is kept as ${name}`;
      faults.push(faultAt(line, 'unnamed-column', message, { severity: 'warning', column: name }));
    }
    setField(raw, name, cell);
  }
  // A record with broken quotes has no cells to count.
  if (cells.length > 0) faults.push(...raggedness(record, header));
  return { line, raw, faults };
}

function raggedness({ line, cells }: CsvRecord, header: CsvHeader): Fault[] {
  const expected = header.columns.length;
  const tooFew = cells.length < header.minimumCells;
  const tooMany = cells.slice(expected).some((cell) => cell !== '');
  if (!tooFew && !tooMany) return [];
  const cause = tooFew ? 'a delimiter is missing' : 'a cell holds the delimiter and is not quoted';
  const message = `${plural(cells.length, 'cell')} where the header has ${expected}; perhaps ${cause}`;
  return [faultAt(line, 'ragged-row', message)];
}

const CANDIDATES = [',', ';', '\t'] as const;

/** Records after the header that are compared. */
const SAMPLE_ROWS = 20;

/** A value of `--delimiter`: one character, `tab`, or `\t`. @throws usageError */
export function parseDelimiter(given: string): string {
  if (given === 'tab' || given === '\\t') return '\t';
  if (!/^[^"\r\n]$/u.test(given)) {
    throw usageError(
      'delimiter-invalid',
      `--delimiter ${JSON.stringify(given)}: not one character that can delimit cells`,
      'Allowed are one character other than a quote or a line break, or the word tab.',
    );
  }
  return given;
}

/** The first line `sep=;` by which a file tells Excel its delimiter. `length` counts its line break too. */
export function separatorLine(head: string): { delimiter: string; length: number } | undefined {
  const match = /^"?sep=([^\r\n"])"?(?:\r\n|\n|\r|$)/i.exec(head);
  return match?.[1] === undefined ? undefined : { delimiter: match[1], length: match[0].length };
}

/**
 * The delimiter that occurs most often in the header, outside quotes. On a tie, the delimiter that occurs as often in most
 * of the first rows. Default: a comma.
 */
export function sniffDelimiter(head: string): string {
  const [header, ...rows] = countDelimiters(head);
  if (header === undefined) return ',';
  const most = Math.max(...header);
  if (most === 0) return ',';
  const [winner] = CANDIDATES.map((candidate, index) => ({
    candidate,
    inHeader: header[index] ?? 0,
    inRows: rows.filter((row) => row[index] === most).length,
  })).toSorted((a, b) => b.inHeader - a.inHeader || b.inRows - a.inRows);
  return winner?.candidate ?? ',';
}

/** The occurrences of each candidate outside quotes, in the header and the first rows. */
function countDelimiters(head: string): number[][] {
  const lines = withoutQuoted(head)
    .split(/[\r\n]+/)
    .filter((line) => line !== '');
  return lines
    .slice(0, SAMPLE_ROWS + 1)
    .map((line) => CANDIDATES.map((candidate) => line.split(candidate).length - 1));
}

/** The text with the content of all quotes removed. */
export function withoutQuoted(text: string): string {
  return text.replaceAll(/"[^"]*(?:"|$)/g, '""');
}
