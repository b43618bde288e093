import { faultAt, type Fault } from './fault.ts';

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
