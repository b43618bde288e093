import type { Fault } from './fault.ts';
import type { CsvHeader } from './csv-header.ts';
import type { CsvRecord } from './csv-record.ts';
import { setField, type ManifestEntry, type RawRow } from './entry.ts';

/** A row of blank cells, as spreadsheets leave them below the data, is no row. */
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

/** Every cell is kept, also one that belongs to no column: whoever corrects the row looks for it. */
export function csvEntry(record: CsvRecord, header: CsvHeader): ManifestEntry {
  const { line, cells } = record;
  const raw: RawRow = {};
  const faults: Fault[] = [...record.faults];
  for (const [index, cell] of cells.entries()) {
    const { name, kind } = header.columns[index] ?? { name: header.nameAt(index), kind: 'beyond' };
    if (cell === '' && kind !== 'named') continue;
    if (kind === 'unnamed') {
      faults.push({
        severity: 'warning',
        line,
        column: name,
        rule: 'unnamed-column',
        message: `column ${index + 1} has a value but no name in the header; it is kept as ${name}`,
      });
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
  return [{ severity: 'error', line, rule: 'ragged-row', message }];
}
