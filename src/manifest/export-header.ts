import { isExportColumn } from './request/columns.ts';
import { readCell, writeText, writeValue } from './export-cell.ts';

/** What tells an export from other manifests: which row of which batch. The other columns of ours may be deleted. */
export const TELLING = ['batch', 'row_key', 'line', 'state', 'task_id'] as const;

/** Where the header of an export has the input's columns, and where ours. */
export interface ExportHeader {
  input: number[];
  ours: ReadonlyMap<string, number>;
  length: number;
}

/** Undefined for the header of a manifest that is no export. */
export function findExport(cells: readonly string[]): ExportHeader | undefined {
  const ours = new Map<string, number>();
  const input: number[] = [];
  for (const [index, cell] of cells.entries()) {
    const name = cell.trim();
    if (isExportColumn(name) && !ours.has(name)) ours.set(name, index);
    else input.push(index);
  }
  return TELLING.every((name) => ours.has(name)) ? { input, ours, length: cells.length } : undefined;
}

/** An input column of the name of one of ours gets a prefix; so does one that has it already. */
export function writeName(name: string): string {
  const prefixed = isExportColumn(name.replace(PREFIXES, '')) ? `input.${name}` : name;
  // A header is trimmed when it is read.
  return prefixed.trim() === prefixed && prefixed !== '' ? writeText(prefixed) : writeValue(prefixed);
}

/** What `writeName` was given. */
export function readName(cell: string): string {
  const name = String(readCell(cell).value);
  return name.startsWith('input.') && isExportColumn(name.replace(PREFIXES, ''))
    ? name.slice('input.'.length)
    : name;
}

const PREFIXES = /^(?:input\.)+/;

/** The delimiter between our columns, if the first record has them: an export may have any. */
export function exportDelimiter(head: string): string | undefined {
  const found = /batch"?([^\w"\r\n])"?row_key"?\1"?line"?\1"?state"?\1/.exec(head);
  if (found === null) return undefined;
  let quoted = false;
  for (const character of head.slice(0, found.index)) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === '\n' || character === '\r')) return undefined;
  }
  return found[1];
}
