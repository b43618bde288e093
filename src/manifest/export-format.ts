import { isExportColumn, speaks } from './request/field-names.ts';
import { withoutQuoted, csvEntry, isBlank, type CsvHeader } from './csv-rows.ts';
import { faultAt, setField, type Exported, type ManifestEntry, type RawRow } from './entry.ts';
import type { CsvRecord } from './csv-records.ts';
import { isPlainObject, parseJson } from '../core/json.ts';

/**
 * A spreadsheet runs a cell that begins with `= + - @`, their full-width forms, a tab or a line break, and also the middle of
 * a cell after another delimiter. An export adds an apostrophe before each such place, and reading removes it.
 */
const AT_START = /^(?:'*(?=[=+\-@＝＋－＠\t\r\n])|'+(?=:))/;
const WITHIN = /[,;|\t"\r\n]'*(?=[=+\-@＝＋－＠])/g;

/** The same places with the added apostrophe. */
const AT_START_SAFE = /^'(?='*[=+\-@＝＋－＠\t\r\n]|'+:)/;
const WITHIN_SAFE = /([,;|\t"\r\n]'*)'(?=[=+\-@＝＋－＠])/g;

/** The prefix of a cell that holds a JSON value. */
const VALUE = "':";

/** The safe text of a cell. Text that no file can hold (NUL, half a character) is written as JSON. */
export function writeText(text: string): string {
  if (text.includes('\0') || !text.isWellFormed()) return writeValue(text);
  return text.replace(AT_START, "$&'").replace(WITHIN, "$&'");
}

/**
 * The same for a workbook, in which no cell of text is run: only what `readCell` would change is written as in CSV.
 */
export function writeSheetText(text: string): string {
  const read = readCell(text);
  const isKept = !read.typed && read.value === text && !text.includes('\0') && text.isWellFormed();
  return isKept ? text : writeText(text);
}

export function writeValue(value: unknown): string {
  return VALUE + JSON.stringify(value).replace(WITHIN, "$&'");
}

/** The inverse of `writeText` and `writeValue`; `typed`: of the latter. */
export function readCell(cell: string): { value: unknown; typed: boolean } {
  if (!cell.includes("'")) return { value: cell, typed: false };
  if (cell.startsWith(VALUE)) {
    const parsed = parseJson(cell.slice(VALUE.length).replace(WITHIN_SAFE, '$1'));
    if (parsed !== undefined) return { ...parsed, typed: true };
  }
  return { value: cell.replace(AT_START_SAFE, '').replace(WITHIN_SAFE, '$1'), typed: false };
}

/** A manifest with these columns is an export. Users may delete the other export columns. */
const REQUIRED = ['batch', 'row_key', 'line', 'state', 'task_id'] as const;

/** The positions of the input columns, and of the export columns. */
interface ExportHeader {
  input: number[];
  ours: ReadonlyMap<string, number>;
  length: number;
}

/** Undefined for a header that is not an export's. */
export function findExport(cells: readonly string[]): ExportHeader | undefined {
  const ours = new Map<string, number>();
  const input: number[] = [];
  for (const [index, cell] of cells.entries()) {
    const name = cell.trim();
    if (isExportColumn(name) && !ours.has(name)) ours.set(name, index);
    else input.push(index);
  }
  return REQUIRED.every((name) => ours.has(name)) ? { input, ours, length: cells.length } : undefined;
}

/** An input column with the name of an export column gets a prefix, also if it has the prefix already. */
export function writeName(name: string, write = writeText): string {
  const prefixed = isExportColumn(name.replace(PREFIXES, '')) ? `input.${name}` : name;
  // A header is trimmed when it is read.
  return prefixed.trim() === prefixed && prefixed !== '' ? write(prefixed) : writeValue(prefixed);
}

/** The inverse of `writeName`. */
export function readName(cell: string): string {
  const name = String(readCell(cell).value);
  return name.startsWith('input.') && isExportColumn(name.replace(PREFIXES, ''))
    ? name.slice('input.'.length)
    : name;
}

const PREFIXES = /^(?:input\.)+/;

/** The delimiter of an export: the character between its export columns. */
export function exportDelimiter(head: string): string | undefined {
  const found = /batch"?([^\w"\r\n])"?row_key"?\1"?line"?\1"?state"?\1/.exec(head);
  if (found === null) return undefined;
  const isFirstRecord = !/[\r\n]/.test(withoutQuoted(head.slice(0, found.index)));
  return isFirstRecord ? found[1] : undefined;
}

/** Faults that were found when the manifest was read. The cells of an export do not have them. */
const HIDDEN_FAULTS = [
  'ragged-row',
  'bad-bytes',
  'duplicate-key',
  'number-precision',
  'nesting',
  'map-clash',
  'id-duplicate',
];

/** The entries of a CSV export, without the export columns. */
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
  // A field as JSON comes from a JSON manifest, in which an empty cell is an absent field.
  const json = read.some(({ name, typed }) => typed && speaks(name));
  const raw: RawRow = {};
  for (const { name, value, typed } of read) if (!json || typed || value !== '') setField(raw, name, value);
  return withHiddenFault({ ...entry, raw, source: json ? 'json' : 'csv', exported });
}

/** The original entry of a JSON export; other entries are returned unchanged. */
export function unwrap(entry: ManifestEntry): ManifestEntry {
  const { raw } = entry;
  const { input } = raw;
  if (!isPlainObject(input) || !REQUIRED.every((name) => Object.hasOwn(raw, name))) return entry;
  const said = (name: string): string => (typeof raw[name] === 'string' ? raw[name] : '');
  const exported = {
    batch: said('batch'),
    key: said('row_key'),
    errorCode: said('error_code'),
    error: said('error'),
    request: raw['request'] ?? null,
  };
  return withHiddenFault({ ...entry, raw: input, exported });
}

function withHiddenFault<T extends ManifestEntry & { exported: Exported }>(entry: T): T {
  const { line, faults, exported } = entry;
  const { errorCode, error } = exported;
  if (!HIDDEN_FAULTS.includes(errorCode) || faults.some(({ rule }) => rule === errorCode)) return entry;
  const message = `was not readable in its manifest: ${error.slice(0, 200)}; when its cells are right, empty its error_code`;
  return { ...entry, faults: [...faults, faultAt(line, errorCode, message)] };
}
