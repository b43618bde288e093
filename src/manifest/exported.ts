import type { Fault } from './fault.ts';
import { speaks } from './request/columns.ts';
import { csvEntry, isBlank } from './csv.ts';
import type { CsvHeader } from './csv-header.ts';
import type { CsvRecord } from './csv-record.ts';
import { setField, type Exported, type ManifestEntry, type RawRow } from './entry.ts';
import { readCell } from './export-cell.ts';
import { TELLING, type ExportHeader } from './export-header.ts';
import { isPlainObject } from './json-row.ts';

/** Faults that the cells of the row do not show any more, once they stand in an export. */
const NOT_SEEN_IN_CELLS = [
  'ragged-row',
  'bad-bytes',
  'duplicate-key',
  'number-precision',
  'nesting',
  'map-clash',
  'id-duplicate',
];

/** The entries of a CSV export: the row as it was read, without our columns. */
export async function* exportedEntries(
  records: AsyncIterable<CsvRecord>,
  header: CsvHeader,
  layout: ExportHeader,
): AsyncGenerator<ManifestEntry, void, void> {
  for await (const record of records) {
    if (!isBlank(record)) yield exportedEntry(record, header, layout);
  }
}

function exportedEntry(record: CsvRecord, header: CsvHeader, layout: ExportHeader): ManifestEntry {
  const { line, cells, faults } = record;
  const said = (name: string): string => String(readCell(cells[layout.ours.get(name) ?? -1] ?? '').value);
  const exported = {
    batch: said('batch'),
    key: said('row_key'),
    errorCode: said('error_code'),
    error: said('error'),
  };
  const input = layout.input.map((index) => cells[index]).filter((cell) => cell !== undefined);
  const entry = csvEntry({ line, cells: [...input, ...cells.slice(layout.length)], faults }, header);
  const read = Object.entries(entry.raw).map(([name, cell]) => ({ name, ...readCell(String(cell)) }));
  // A row that says a field as JSON is one of a JSON manifest, where an empty cell is an absent field.
  const json = read.some(({ name, typed }) => typed && speaks(name));
  const raw: RawRow = {};
  for (const { name, value, typed } of read) if (!json || typed || value !== '') setField(raw, name, value);
  return withUnseen({ ...entry, raw, source: json ? 'json' : 'csv', exported });
}

/** An entry of a JSON manifest, as it was read before it was exported, if it is one of an export. */
export function unwrap(entry: ManifestEntry): ManifestEntry {
  const { raw } = entry;
  const { input } = raw;
  if (!isPlainObject(input) || !TELLING.every((name) => Object.hasOwn(raw, name))) return entry;
  const said = (name: string): string => (typeof raw[name] === 'string' ? raw[name] : '');
  const exported = {
    batch: said('batch'),
    key: said('row_key'),
    errorCode: said('error_code'),
    error: said('error'),
    request: raw['request'] ?? null,
  };
  return withUnseen({ ...entry, raw: input, exported });
}

function withUnseen<T extends ManifestEntry & { exported: Exported }>(entry: T): T {
  const { line, faults, exported } = entry;
  const { errorCode, error } = exported;
  if (!NOT_SEEN_IN_CELLS.includes(errorCode) || faults.some(({ rule }) => rule === errorCode)) return entry;
  const fault: Fault = {
    severity: 'error',
    line,
    rule: errorCode,
    message: `was not readable in its manifest: ${error.slice(0, 200)}; once its cells are right, empty its error_code`,
  };
  return { ...entry, faults: [...faults, fault] };
}
