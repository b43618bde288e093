import type { Fault } from '../fault.ts';

/** A row as it stands in the manifest: column → cell text (CSV), or field → JSON value (JSON, JSONL). */
export type RawRow = Record<string, unknown>;

/** One entry of a manifest, in file order. An unreadable one has faults and as much of the row as was legible. */
export interface ManifestEntry {
  /** 1-based line in the file on which the row begins. */
  line: number;
  raw: RawRow;
  /** Faults of reading (ragged row, broken JSON, bad bytes); rules of the request come later, in `request.ts`. */
  faults: Fault[];
}

export type ManifestFormat = 'csv' | 'json' | 'jsonl';

/** What is known of a manifest once its beginning has been read. */
export interface Manifest {
  /** How the file is named in messages: the path as given, or `-`. */
  name: string;
  format: ManifestFormat;
  /** WHATWG label of the encoding that is being decoded, such as `utf-8`, `gb18030`, `utf-16le`. */
  encoding: string;
  /** CSV only: the delimiter, given or sniffed. */
  delimiter?: string;
  /** CSV only: the header as read, after renaming of duplicates and before `--map`. */
  columns?: string[];
  /** Faults of the file as a whole, such as a renamed duplicate header. */
  faults: Fault[];
  /** May be iterated once. Memory does not grow with the number of rows. Reading stops when iteration stops. */
  entries: AsyncIterable<ManifestEntry>;
}
