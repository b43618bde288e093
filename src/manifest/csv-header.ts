import type { Fault } from './fault.ts';
import { excerpt } from './entry.ts';
import type { CsvRecord } from './csv-record.ts';

/** One column of the header. */
export interface CsvColumn {
  /** As the header has it, trimmed. */
  header: string;
  /** Under which a row keeps its cell: the header, or `column_<n>` (1-based) where that names no column. */
  name: string;
  /** `unnamed`: the header is empty. `ambiguous`: several columns have this header, so none of them is a field. */
  kind: 'named' | 'unnamed' | 'ambiguous';
}

export interface CsvHeader {
  columns: CsvColumn[];
  /** A row may end after so many cells: those of unnamed columns at the end may be missing. */
  minimumCells: number;
  /** The name under which a row keeps the cell of a column without one; 0-based. */
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
    faults.push({
      severity: 'error',
      line: record.line,
      column: name,
      rule: 'duplicate-header',
      message: `columns ${[first, ...others].map((index) => index + 1).join(' and ')} are both named ${excerpt(name)}; rename one of them`,
    });
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
