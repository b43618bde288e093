import { createHash } from 'node:crypto';
import { faultAt, type Fault, type Manifest, type ManifestEntry, type RawRow } from './entry.ts';
import { excerpt } from '../core/text.ts';
import { defined } from '../core/json.ts';
import { contentHash, likenessOf, shownId } from '../core/identity.ts';
import { applyMap, checkMap, mapEntry, understand, type ColumnMap, type Understanding } from './columns.ts';
import { readRequest, type Mode } from './request/read-request.ts';
import type { GenerationRequest } from './request/fields.ts';
import { openIdIndex } from '../core/sqlite.ts';

/** Rows of a manifest are identified by their `id`, or without one by their content. */
export type KeyScheme = 'id' | 'h1';

/** One row of a manifest, checked by every rule. */
export interface Row {
  /** From 0, in file order. */
  position: number;
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** As read, after `--map`. */
  raw: RawRow;
  /** Absent when a rule is broken. */
  request?: GenerationRequest;
  mode?: Mode;
  notBefore?: string;
  /** From -100 to 100, higher first. */
  priority?: number;
  /** The id, or what the key is made of. `numbered`: rows with the same basis are numbered. */
  keyBasis: string;
  numbered: boolean;
  /** Of the request. */
  contentHash?: string;
  /** The batch of its export. */
  of?: string;
  /** Its key in an export of the target batch. Its content must confirm it. */
  knownAs?: string;
  faults: Fault[];
}

export interface RowOptions {
  map?: ColumnMap;
  /** Models that the configuration allows beside the known ones. */
  models?: readonly string[];
  /** Warnings are errors. */
  strict?: boolean;
  /** Text that looks like an accident is sent as it is. */
  asWritten?: boolean;
  /** The target batch: rows of its export have keys in it. */
  into?: { name: string; keyScheme?: KeyScheme };
}

/** A manifest's rows, with the key scheme that its first row (or its header) asks for. */
export interface CheckedRows {
  /** Faults of the file as a whole. With an error among them no row is to be sent. */
  faults: Fault[];
  scheme: () => KeyScheme;
  /** How its columns are read; for JSON known after the rows. */
  columns: () => Understanding;
  rows: AsyncGenerator<Row>;
}

/** The names of JSON keys that are remembered. */
const MOST_KEPT = 1000;

/** Checks every row of a manifest by every rule, in file order and in constant memory. Sends and writes nothing. */
export function checkRows(manifest: Manifest, options: RowOptions = {}): CheckedRows {
  const { into } = options;
  if (options.map !== undefined) checkMap(manifest, options.map);
  const columns = understand(manifest, options.map);
  const map = columns.map.size === 0 ? undefined : columns.map;
  const kept = new Set(columns.kept);
  let scheme: KeyScheme | undefined;

  async function* rows(): AsyncGenerator<Row> {
    const place = manifest.byRow === true ? 'row' : 'line';
    const seen = openIdIndex();
    const alike = openIdIndex();
    try {
      let position = 0;
      for await (const read of manifest.entries) {
        const entry = map === undefined ? read : mapEntry(read, map);
        scheme ??= schemeOf(manifest, entry);
        const row = checkRow(entry, position, scheme);
        position += 1;
        const alone = row.numbered ? row.knownAs : row.keyBasis;
        const line = manifest.byRow === true ? row.position + 1 : row.line;
        const first = alone === undefined ? undefined : seen.add(alone, { line, text: '' });
        if (first !== undefined) yield duplicate(row, `${place} ${first.line}`);
        else {
          const like = row.numbered
            ? undefined
            : alike.add(likenessOf(row.keyBasis), { line, text: row.keyBasis });
          yield like === undefined
            ? row
            : lookalike(row, `${place} ${like.line}`, like.text, options.strict === true);
        }
      }
    } finally {
      seen.close();
      alike.close();
    }
  }

  function schemeOf(manifest: Manifest, { raw, exported }: ManifestEntry): KeyScheme {
    if (into?.keyScheme !== undefined && exported?.batch === into.name) return into.keyScheme;
    const header = manifest.columns === undefined ? raw : blank(manifest.columns);
    return Object.hasOwn(map === undefined ? header : applyMap(header, map), 'id') ? 'id' : 'h1';
  }

  function checkRow(entry: ManifestEntry, position: number, scheme: KeyScheme): Row {
    const { raw, line, faults: reading, exported } = entry;
    const read = readRequest(raw, { ...options, source: sourceOf(manifest, entry), line });
    if (manifest.columns === undefined && kept.size < MOST_KEPT)
      for (const name of read.extras) kept.add(name);
    // The rules would only repeat the faults of an unreadable row in other words.
    const unreadable = reading.some(isError);
    const judged = reading.map((fault) => judge(fault, options));
    const faults = unreadable ? judged : [...judged, ...read.faults];
    const badId = faults.some((fault) => isError(fault) && fault.column === 'id');
    if (scheme === 'id' && read.id === undefined && !unreadable && !badId) {
      const message =
        'is missing: either every row has an id, or none (then rows are told apart by their content)';
      faults.push(faultAt(line, 'id-missing', message, { column: 'id' }));
    }
    const request = faults.some(isError) ? undefined : read.request;
    const hash = request && contentHash(request);
    const isDuplicate = faults.some(({ rule }) => rule === 'id-duplicate');
    const id = scheme === 'id' && !isDuplicate ? read.id : undefined;
    const { batch: of = '', key = '' } = exported ?? {};
    return defined({
      position,
      line,
      raw,
      request,
      contentHash: hash,
      mode: read.mode,
      notBefore: read.notBefore,
      priority: read.priority,
      keyBasis: id ?? (hash === undefined ? brokenKey(raw) : `h1:${hash}`),
      numbered: id === undefined,
      of: of === '' ? undefined : of,
      knownAs: key === '' || of !== into?.name ? undefined : key,
      faults,
    });
  }

  return {
    faults: manifest.faults.map((fault) => judge(fault, options)),
    scheme: () => scheme ?? 'h1',
    columns: () => ({ ...columns, kept: [...kept] }),
    rows: rows(),
  };
}

/** The faults of a row, with its number and id. */
export function placed({ faults, position, raw }: Row, { byRow = false }: Pick<Manifest, 'byRow'>): Fault[] {
  const { id } = raw;
  const row = {
    row: position + 1,
    ...(typeof id === 'string' || typeof id === 'number' ? { id: String(id) } : {}),
    ...(byRow ? { byRow } : {}),
  };
  return faults.map((fault) => ({ ...fault, ...row }));
}

function judge(fault: Fault, { strict }: RowOptions): Fault {
  return strict === true ? { ...fault, severity: 'error' } : fault;
}

function blank(columns: readonly string[]): RawRow {
  return Object.fromEntries(columns.map((column) => [column, '']));
}

/** A row of a JSON export that is all text comes from a CSV manifest if it had a request, and is read as cells again. */
function sourceOf({ format }: Manifest, { raw, source, exported }: ManifestEntry): 'csv' | 'json' {
  if (source !== undefined) return source;
  if (format === 'csv') return 'csv';
  const cells = exported?.request != null && Object.values(raw).every((value) => typeof value === 'string');
  return cells ? 'csv' : 'json';
}

export function isError(fault: Fault): boolean {
  return fault.severity === 'error';
}

/** An invalid row without an id is identified by its content. */
function brokenKey(raw: RawRow): string {
  return `invalid:${createHash('sha256').update(JSON.stringify(raw)).digest('hex').slice(0, 32)}`;
}

/** The ids differ, but a person or a spreadsheet may confuse them. */
function lookalike(row: Row, where: string, like: string, strict: boolean): Row {
  const { request, contentHash: hash, ...rest } = row;
  const message = `${excerpt(shownId(row.keyBasis))} looks like the id ${excerpt(shownId(like))} of ${where}; both are sent, as two videos`;
  const severity = strict ? 'error' : 'warning';
  return {
    ...rest,
    ...(strict || request === undefined || hash === undefined ? {} : { request, contentHash: hash }),
    faults: [...row.faults, faultAt(row.line, 'id-lookalike', message, { column: 'id', severity })],
  };
}

function duplicate(row: Row, where: string): Row {
  const { request: _request, contentHash: _hash, knownAs, ...rest } = row;
  const fault = row.numbered
    ? faultAt(
        row.line,
        'row-key-duplicate',
        `is the row_key of ${where} already: an export has each row once; to pay for a second video of it, empty the cell`,
        { column: 'row_key' },
      )
    : faultAt(row.line, 'id-duplicate', `is the id of ${where} already: ids are unique in a manifest`, {
        column: 'id',
      });
  return {
    ...rest,
    keyBasis: brokenKey(row.raw),
    numbered: true,
    // A row that was a duplicate before its export keeps its key.
    ...(knownAs === undefined || row.numbered ? {} : { knownAs }),
    faults: [...row.faults, fault],
  };
}
