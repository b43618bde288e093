import { createHash } from 'node:crypto';
import type { Fault } from './fault.ts';
import { excerpt } from '../core/excerpt.ts';
import { contentHash } from '../core/identity.ts';
import { likenessOf, shownId } from '../core/likeness.ts';
import { applyMap, checkMap, mapEntry } from './columns.ts';
import type { ColumnMap } from './columns.ts';
import type { Manifest, ManifestEntry, RawRow } from './entry.ts';
import { understand } from './understanding.ts';
import type { Understanding } from './understanding.ts';
import { readRequest } from './request.ts';
import type { Mode } from './request.ts';
import type { GenerationRequest } from './request/body.ts';
import { openSeen } from '../core/seen.ts';

/** How rows of a manifest are told apart: by their `id`, or, without one, by their content. */
export type KeyScheme = 'id' | 'h1';

/** One row of a manifest, checked by every rule. */
export interface Row {
  /** From 0, in file order. */
  position: number;
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** As read, after `--map`. */
  raw: RawRow;
  /** What would be sent; absent when a rule is broken. */
  request?: GenerationRequest;
  mode?: Mode;
  notBefore?: string;
  /** From -100 to 100, higher first. */
  priority?: number;
  /** The id, or what the key is made of; `numbered`: rows with the same basis are told apart by occurrence. */
  keyBasis: string;
  numbered: boolean;
  /** Of the request. */
  contentHash?: string;
  /** The batch of whose export it is. */
  of?: string;
  /** Its key, if that is the batch it is to go into. Only its content can bear it out. */
  knownAs?: string;
  faults: Fault[];
}

export interface RowOptions {
  map?: ColumnMap;
  /** Models that the configuration allows beside the known ones. */
  models?: readonly string[];
  /** Warnings are errors. */
  strict?: boolean;
  /** Text that looks like nobody wrote it is sent as it is. */
  asWritten?: boolean;
  /** Where they are to go: rows of an export of it have keys in it. */
  into?: { name: string; keyScheme?: KeyScheme };
}

/** A manifest's rows, with the key scheme that its first row (or its header) asks for. */
export interface CheckedRows {
  /** Faults of the file as a whole. With an error among them no row is to be sent. */
  faults: Fault[];
  scheme: () => KeyScheme;
  /** What its columns are taken for; of JSON, once the rows are read. */
  columns: () => Understanding;
  rows: AsyncGenerator<Row>;
}

/** So many names of JSON keys are remembered. */
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
    const seen = openSeen();
    const alike = openSeen();
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
    const read = readRequest(raw, {
      source: sourceOf(manifest, entry),
      line,
      ...(options.models === undefined ? {} : { models: options.models }),
      ...(options.strict === undefined ? {} : { strict: options.strict }),
      ...(options.asWritten === undefined ? {} : { asWritten: options.asWritten }),
    });
    if (manifest.columns === undefined && kept.size < MOST_KEPT)
      for (const name of read.extras) kept.add(name);
    // What could not be read cannot be judged: the rules would only repeat it in other words.
    const judged = reading.map((fault) => judge(fault, options));
    const faults = reading.some(isError) ? judged : [...judged, ...read.faults];
    if (
      scheme === 'id' &&
      read.id === undefined &&
      !reading.some(isError) &&
      !faults.some((fault) => isError(fault) && fault.column === 'id')
    ) {
      faults.push({
        severity: 'error',
        line,
        column: 'id',
        rule: 'id-missing',
        message:
          'is missing: either every row has an id, or none (then rows are told apart by their content)',
      });
    }
    const request = faults.some(isError) ? undefined : read.request;
    const hash = request && contentHash(request);
    const id = scheme === 'id' && !faults.some(isDuplicate) ? read.id : undefined;
    const { batch: of = '', key = '' } = exported ?? {};
    return {
      position,
      line,
      raw,
      ...(request === undefined || hash === undefined ? {} : { request, contentHash: hash }),
      ...(read.mode === undefined ? {} : { mode: read.mode }),
      ...(read.notBefore === undefined ? {} : { notBefore: read.notBefore }),
      ...(read.priority === undefined ? {} : { priority: read.priority }),
      keyBasis: id ?? (hash === undefined ? brokenKey(raw) : `h1:${hash}`),
      numbered: id === undefined,
      ...(of === '' ? {} : { of }),
      ...(key === '' || of !== into?.name ? {} : { knownAs: key }),
      faults,
    };
  }

  return {
    faults: manifest.faults.map((fault) => judge(fault, options)),
    scheme: () => scheme ?? 'h1',
    columns: () => ({ ...columns, kept: [...kept] }),
    rows: rows(),
  };
}

/** The faults of a row, with what tells it from the others. */
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

/**
 * A row of a JSON export is read as it was read before. One of a CSV manifest is all text; what was sent for it had
 * been read from cells, and JSON is the stricter reading: so what could not be sent still cannot be.
 */
function sourceOf({ format }: Manifest, { raw, source, exported }: ManifestEntry): 'csv' | 'json' {
  if (source !== undefined) return source;
  if (format === 'csv') return 'csv';
  const cells = exported?.request != null && Object.values(raw).every((value) => typeof value === 'string');
  return cells ? 'csv' : 'json';
}

export function isError(fault: Fault): boolean {
  return fault.severity === 'error';
}

function isDuplicate(fault: Fault): boolean {
  return fault.rule === 'id-duplicate';
}

/** A row that cannot be sent and has no id is known by what it says, wherever in the file it stands. */
function brokenKey(raw: RawRow): string {
  return `invalid:${createHash('sha256').update(JSON.stringify(raw)).digest('hex').slice(0, 32)}`;
}

/** Two rows all the same: the ids differ. But a person, or a spreadsheet, may take the one for the other. */
function lookalike(row: Row, where: string, like: string, strict: boolean): Row {
  const { request, contentHash: hash, ...rest } = row;
  const fault: Fault = {
    severity: strict ? 'error' : 'warning',
    line: row.line,
    column: 'id',
    rule: 'id-lookalike',
    message: `${excerpt(shownId(row.keyBasis))} looks like the id ${excerpt(shownId(like))} of ${where}; both are sent, as two videos`,
  };
  return {
    ...rest,
    ...(strict || request === undefined || hash === undefined ? {} : { request, contentHash: hash }),
    faults: [...row.faults, fault],
  };
}

function duplicate(row: Row, where: string): Row {
  const { request: _request, contentHash: _hash, knownAs, ...rest } = row;
  const fault = row.numbered
    ? {
        column: 'row_key',
        rule: 'row-key-duplicate',
        message: `is the row_key of ${where} already: an export has each row once; to pay for a second video of it, empty the cell`,
      }
    : {
        column: 'id',
        rule: 'id-duplicate',
        message: `is the id of ${where} already: ids are unique in a manifest`,
      };
  return {
    ...rest,
    keyBasis: brokenKey(row.raw),
    numbered: true,
    // The row that an export says was a duplicate before is no other one now.
    ...(knownAs === undefined || row.numbered ? {} : { knownAs }),
    faults: [...row.faults, { severity: 'error', line: row.line, ...fault }],
  };
}
