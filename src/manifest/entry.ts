import { columnLabel } from '../core/text.ts';

/**
 * A fault in one row of a manifest. `error`: a documented rule is broken, and the row cannot be sent. `warning`: an
 * undocumented rule, or a likely mistake; `--strict` makes it an error.
 */
export interface Fault {
  severity: 'error' | 'warning';
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** As in the manifest (`duration`, `extra_body.seed`). Absent: the whole row. */
  column?: string;
  /** Stable name of the rule, kebab-case, for example `duration-range`. */
  rule: string;
  /** What is wrong and what is allowed: `20 is not between 1 and 16`. */
  message: string;
  /** The fault may affect every row, so no row of the file is sent. */
  scope?: 'file';
  /** 1-based number of the row. */
  row?: number;
  /** The row's id, as in the file. */
  id?: string;
  /** Show the row number and not the line: rows share lines, as in generated JSON. */
  byRow?: true;
}

export function isError(fault: Fault): boolean {
  return fault.severity === 'error';
}

/** A cell of a workbook is a date. This is an error only where the cell may be sent. */
export const DATE_RULE = 'cell-date';

/** An error, unless `more` says otherwise. */
export function faultAt(
  line: number,
  rule: string,
  message: string,
  more: Partial<Pick<Fault, 'severity' | 'column' | 'scope'>> = {},
): Fault {
  return { severity: 'error', line, rule, message, ...more };
}

/**
 * `jobs/a.csv:14 duration: 20 is not between 1 and 16 [duration-range]`, or, where rows share lines,
 * `a.json row 3 (id a3) duration: …`
 */
export function formatFault(file: string, fault: Fault): string {
  const { row, id, byRow = false } = fault;
  const named = id === undefined ? '' : ` (id ${columnLabel(id)})`;
  const place = byRow && row !== undefined ? ` row ${row}${named}` : `:${fault.line}`;
  const column = fault.column === undefined ? '' : ` ${fault.column}`;
  return `${file}${place}${column}: ${fault.message} [${fault.rule}]`;
}

/** A row as in the manifest: column → cell text (CSV), or field → JSON value (JSON, JSONL). */
export type RawRow = Record<string, unknown>;

/** The export columns of an entry; '' for a row that was added by hand. */
export interface Exported {
  batch: string;
  key: string;
  errorCode: string;
  error: string;
  /** JSONL: the request. */
  request?: unknown;
}

/** One entry of a manifest. An unreadable entry has faults, and the readable part of its row. */
export interface ManifestEntry {
  /** 1-based line in the file on which the row begins. */
  line: number;
  raw: RawRow;
  /** Faults of reading (ragged row, broken JSON, bad bytes). Rules of the request are checked later. */
  faults: Fault[];
  /** How its values are read. Default: by the format of the manifest. */
  source?: 'csv' | 'json';
  /** Only in an export that vidbatch wrote: `raw` is the original row, and this field says which row it is. */
  exported?: Exported;
}

export type ManifestFormat = 'csv' | 'json' | 'jsonl';

/** A manifest whose beginning has been read. */
export interface Manifest {
  /** The given path, or `-`. */
  name: string;
  format: ManifestFormat;
  /** The WHATWG label of the encoding, such as `utf-8`, `gb18030`, `utf-16le`. */
  encoding: string;
  /** CSV only: the delimiter, given or sniffed. */
  delimiter?: string;
  /** CSV only: the named columns of the header, trimmed, before `--map`. */
  columns?: string[];
  /** JSON only: rows share lines, so faults name them by their number. */
  byRow?: boolean;
  /** CSV and sheets: the first lines, each cut; of a sheet, its rows with tabs between the cells. */
  firstLines?: string[];
  /** CSV only: every column of the header, `''` for an unnamed one. */
  layout?: string[];
  /** CSV only: it is an export of vidbatch. `columns` are those of the input. */
  exported?: boolean;
  /** Faults of the whole file, such as a duplicate header. After an error, no row may be sent. */
  faults: Fault[];
  /** Whether the file has changed or is gone since it was opened. */
  isChanged: () => Promise<boolean>;
  /** Can be iterated once, in constant memory. */
  entries: AsyncIterable<ManifestEntry>;
}

/** The largest row, in bytes (CSV) or UTF-16 units (JSON, JSONL): a guard against an unclosed quote. */
export const MAX_RECORD = 64 * 1024 * 1024;

/** Sets an own property, also for `__proto__`, where an assignment would set the prototype. */
export function setField(row: RawRow, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  } else {
    row[name] = value;
  }
}

/** An entry without a readable part. */
export function unreadable(line: number, rule: string, message: string): ManifestEntry {
  return { line, raw: {}, faults: [faultAt(line, rule, message)] };
}
