import { createHash } from 'node:crypto';
import type { Fault } from './fault.ts';
import { contentHash } from './identity.ts';
import { applyMap, checkMap, mapEntry } from './manifest/columns.ts';
import type { ColumnMap } from './manifest/columns.ts';
import type { Manifest, ManifestEntry, RawRow } from './manifest/entry.ts';
import { readRequest } from './request.ts';
import type { GenerationRequest, Mode } from './request.ts';
import { openSeen } from './seen.ts';

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
  /** The id, or what the key is made of; `numbered`: rows with the same basis are told apart by occurrence. */
  keyBasis: string;
  numbered: boolean;
  /** Of the request. */
  contentHash?: string;
  faults: Fault[];
}

export interface RowOptions {
  map?: ColumnMap;
  /** Models that the configuration allows beside the known ones. */
  models?: readonly string[];
  /** Warnings are errors. */
  strict?: boolean;
}

/** A manifest's rows, with the key scheme that its first row (or its header) asks for. */
export interface CheckedRows {
  scheme: () => KeyScheme;
  rows: AsyncGenerator<Row>;
}

/** Checks every row of a manifest by every rule, in file order and in constant memory. Sends and writes nothing. */
export function checkRows(manifest: Manifest, options: RowOptions = {}): CheckedRows {
  const { map } = options;
  if (map !== undefined) checkMap(manifest, map);
  let scheme: KeyScheme | undefined =
    manifest.columns === undefined ? undefined : schemeOf(manifest.columns, map);

  async function* rows(): AsyncGenerator<Row> {
    const seen = openSeen();
    try {
      let position = 0;
      for await (const read of manifest.entries) {
        const entry = map === undefined ? read : mapEntry(read, map);
        scheme ??= Object.hasOwn(entry.raw, 'id') ? 'id' : 'h1';
        const row = checkRow(entry, position, scheme);
        position += 1;
        if (scheme === 'id' && !row.numbered) {
          const first = seen.add(row.keyBasis, row.line);
          if (first !== undefined) yield duplicate(row, first);
          else yield row;
        } else yield row;
      }
    } finally {
      seen.close();
    }
  }

  function checkRow({ raw, line, faults: reading }: ManifestEntry, position: number, scheme: KeyScheme): Row {
    const read = readRequest(raw, {
      source: manifest.format === 'csv' ? 'csv' : 'json',
      line,
      ...(options.models === undefined ? {} : { models: options.models }),
      ...(options.strict === undefined ? {} : { strict: options.strict }),
    });
    // What could not be read cannot be judged: the rules would only repeat it in other words.
    const faults = reading.some(isError) ? [...reading] : [...reading, ...read.faults];
    if (
      scheme === 'id' &&
      read.id === undefined &&
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
    const id = scheme === 'id' ? read.id : undefined;
    return {
      position,
      line,
      raw,
      ...(request === undefined || hash === undefined ? {} : { request, contentHash: hash }),
      ...(read.mode === undefined ? {} : { mode: read.mode }),
      ...(read.notBefore === undefined ? {} : { notBefore: read.notBefore }),
      keyBasis: id ?? (hash === undefined ? brokenKey(raw) : `h1:${hash}`),
      numbered: id === undefined,
      faults,
    };
  }

  return { scheme: () => scheme ?? 'h1', rows: rows() };
}

function schemeOf(columns: readonly string[], map: ColumnMap | undefined): KeyScheme {
  const names =
    map === undefined ? columns : Object.keys(applyMap(Object.fromEntries(columns.map((c) => [c, ''])), map));
  return names.includes('id') ? 'id' : 'h1';
}

function isError(fault: Fault): boolean {
  return fault.severity === 'error';
}

/** A row that cannot be sent and has no id is known by what it says, wherever in the file it stands. */
function brokenKey(raw: RawRow): string {
  return `invalid:${createHash('sha256').update(JSON.stringify(raw)).digest('hex').slice(0, 32)}`;
}

function duplicate(row: Row, firstLine: number): Row {
  const { request: _request, contentHash: _hash, ...rest } = row;
  return {
    ...rest,
    keyBasis: brokenKey(row.raw),
    numbered: true,
    faults: [
      ...row.faults,
      {
        severity: 'error',
        line: row.line,
        column: 'id',
        rule: 'id-duplicate',
        message: `is the id of line ${firstLine} already: ids are unique in a manifest`,
      },
    ],
  };
}
