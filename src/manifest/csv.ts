import { excerpt } from '../core/excerpt.ts';
import { faultAt, type Fault } from './fault.ts';
import { type ManifestEntry, type RawRow, setField } from './entry.ts';
import type { CsvRecord } from './csv-record.ts';

/** One column of the header. */
export interface CsvColumn {
  /** As the header has it, trimmed. */
  header: string;
  /** The key of its cells in a row: the header, or `column_<n>` (1-based) if that is no unique name. */
  name: string;
  /** `unnamed`: the header is empty. `ambiguous`: several columns have this header, so none of them is a field. */
  kind: 'named' | 'unnamed' | 'ambiguous';
}

export interface CsvHeader {
  columns: CsvColumn[];
  /** Cells of unnamed columns at the end may be missing. */
  minimumCells: number;
  /** The key for the cells of a column without a name; 0-based. */
  nameAt: (index: number) => string;
  faults: Fault[];
}

/**
 * Reads the header record. Two columns of one name are an error of the file: which is meant would be a guess.
 * `nameOf` reads a cell of it.
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

/** Every cell is kept, also one without a column, so that a person finds it when correcting the row. */
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
  // A record that ended in broken quoting has no cells to count.
  if (cells.length > 0) faults.push(...raggedness(record, header));
  return { line, raw, faults };
}

function raggedness({ line, cells }: CsvRecord, header: CsvHeader): Fault[] {
  const expected = header.columns.length;
  const tooFew = cells.length < header.minimumCells;
  const tooMany = cells.slice(expected).some((cell) => cell !== '');
  if (!tooFew && !tooMany) return [];
  const cause = tooFew ? 'a delimiter is missing' : 'a cell holds the delimiter and is not quoted';
  const message = `${cells.length === 1 ? '1 cell' : `${cells.length} cells`} where the header has ${expected}; perhaps ${cause}`;
  return [faultAt(line, 'ragged-row', message)];
}
