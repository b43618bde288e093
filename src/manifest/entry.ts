import { columnLabel } from '../core/text.ts';

/**
 * A fault in one row of a manifest. `error`: a documented rule is broken, and the row cannot be sent. `warning`: an
 * undocumented rule, or a likely mistake; `--strict` makes it an error.
 */
export interface Fault {
  severity: 'error' | 'warning';
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** As in the manifest (`duration`, `extra_body.seed`); absent: the whole row. */
  column?: string;
  /** Stable name of the rule, kebab-case, for example `duration-range`. */
  rule: string;
  /** What is wrong and what is allowed: `20 is not between 1 and 16`. At most 200 characters of the value. */
  message: string;
  /** It may affect every row, so no row of the file is sent. */
  scope?: 'file';
  /** 1-based number of the row. */
  row?: number;
  /** The row's id, as it stands there. */
  id?: string;
  /** Rows share lines, as in generated JSON, so the row number is shown instead. */
  byRow?: true;
}

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

/** What an entry of an export says about its row; '' for a row that was added by hand. */
export interface Exported {
  batch: string;
  key: string;
  errorCode: string;
  error: string;
  /** JSONL: what was or would be sent. */
  request?: unknown;
}

/** One entry of a manifest, in file order. An unreadable one has faults and the readable part of its row. */
export interface ManifestEntry {
  /** 1-based line in the file on which the row begins. */
  line: number;
  raw: RawRow;
  /** Faults of reading (ragged row, broken JSON, bad bytes); rules of the request come later, in `request.ts`. */
  faults: Fault[];
  /** How its values are read; by default as the format of the manifest says. */
  source?: 'csv' | 'json';
  /** In an export of vidbatch: `raw` is the row as it was read before, and this names the row. */
  exported?: Exported;
}

export type ManifestFormat = 'csv' | 'json' | 'jsonl';

/** A manifest whose beginning has been read. */
export interface Manifest {
  /** The name for messages: the path as given, or `-`. */
  name: string;
  format: ManifestFormat;
  /** WHATWG label of the encoding that is being decoded, such as `utf-8`, `gb18030`, `utf-16le`. */
  encoding: string;
  /** CSV only: the delimiter, given or sniffed. */
  delimiter?: string;
  /** CSV only: the header as read, trimmed, before `--map`; without unnamed columns. */
  columns?: string[];
  /** JSON only: rows share lines, so faults name them by their number. */
  byRow?: boolean;
  /** CSV only: the first lines of the file, each cut. */
  firstLines?: string[];
  /** CSV only: every column of the header, `''` where it has no name. */
  layout?: string[];
  /** CSV only: an export of vidbatch; its columns are those of the input. */
  exported?: boolean;
  /** Faults of the file as a whole, such as a duplicate header. With an error among them no row is to be sent. */
  faults: Fault[];
  /** Whether the file has changed since it was opened, or no longer exists. */
  isChanged: () => Promise<boolean>;
  /** May be iterated once. Memory does not grow with the number of rows. Reading stops when iteration stops. */
  entries: AsyncIterable<ManifestEntry>;
}

/** Largest row that is read, in bytes (CSV) or UTF-16 units (JSON, JSONL); a guard against an unclosed quote. */
export const MAX_RECORD = 64 * 1024 * 1024;

/** Sets an own property even for `__proto__`, which plain assignment would take for the prototype. */
export function setField(row: RawRow, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  } else {
    row[name] = value;
  }
}

/** An entry without a readable part, with its one error. */
export function unreadable(line: number, rule: string, message: string): ManifestEntry {
  return { line, raw: {}, faults: [faultAt(line, rule, message)] };
}
