import type { Fault } from '../fault.ts';
import { excerpt } from './entry.ts';
import type { CsvRecord } from './csv-record.ts';

/** One column of the header. */
export interface CsvColumn {
  /** The trimmed header; `column_<n>` (1-based) where it is empty. */
  name: string;
  /** `unnamed`: the header is empty. `ambiguous`: several columns have this name, so none of them is read. */
  kind: 'named' | 'unnamed' | 'ambiguous';
}

export interface CsvHeader {
  columns: CsvColumn[];
  /** A row may end after so many cells: those of unnamed columns at the end may be missing. */
  minimumCells: number;
  faults: Fault[];
}

/** Reads the header record. Two columns of one name are an error of the file: which is meant would be a guess. */
export function readHeader(record: CsvRecord): CsvHeader {
  const names = record.cells.map((cell) => cell.trim());
  const positions = Map.groupBy(names.keys(), (index) => names[index] ?? '');
  const faults = [...record.faults];
  for (const [name, [first = 0, ...others]] of positions) {
    const [second] = others;
    if (name === '' || second === undefined) continue;
    faults.push({
      severity: 'error',
      line: record.line,
      column: name,
      rule: 'duplicate-header',
      message: `columns ${[first, ...others].map((index) => index + 1).join(' and ')} are both named ${excerpt(name)}; rename one of them`,
    });
  }
  const columns = names.map((name, index): CsvColumn => {
    if (name === '') return { name: unnamedName(index + 1, positions), kind: 'unnamed' };
    return { name, kind: (positions.get(name)?.length ?? 0) > 1 ? 'ambiguous' : 'named' };
  });
  return { columns, minimumCells: columns.findLastIndex(({ kind }) => kind !== 'unnamed') + 1, faults };
}

function unnamedName(position: number, taken: ReadonlyMap<string, unknown>): string {
  let name = `column_${position}`;
  while (taken.has(name)) name += '_';
  return name;
}
