import type { CheckedRow, KeyScheme, Row } from './checked-row.ts';
import { DATE_RULE, faultAt, isError, type Fault, type Manifest, type ManifestEntry } from './entry.ts';
import { excerpt } from '../core/text.ts';
import { defined } from '../core/json.ts';
import { contentHash, likenessOf, shownId } from '../core/identity.ts';
import { checkMap, mapEntry, understand, type ColumnMap, type Understanding } from './columns.ts';
import { brokenKey, contentKey, keySchemeOf, mixedIds, schemeOfFields } from './key-scheme.ts';
import { readRequest, type RequestOptions } from './request/read-request.ts';
import { requestRules } from './request/request-rules.ts';
import { openIdIndex } from '../core/sqlite.ts';
import { fillPrompt } from './prompt-template.ts';
import { variantsOf } from './variants.ts';

export interface RowOptions extends Omit<RequestOptions, 'source' | 'line'> {
  map?: ColumnMap;
  /** The target batch. Rows of its export have keys in it. */
  into?: { name: string; keyScheme?: KeyScheme };
  /** How many videos each row stands for. Default: 1. */
  variants?: number;
  /** `{{column}}` in a prompt is replaced by the value of that column. */
  template?: boolean;
}

/** The checked rows of a manifest. */
interface CheckedRows {
  /** Faults of the whole file. After an error, no row may be sent. */
  faults: Fault[];
  /** By the header, or for JSON by the first row that could be read. */
  scheme: () => KeyScheme;
  /** How the columns are read; for JSON complete after the last row. */
  columns: () => Understanding;
  rows: AsyncGenerator<Row>;
}

/** The most names of JSON keys that are remembered. */
const MOST_KEPT = 1000;

/** Checks every row by every rule, in file order and in constant memory. */
export function checkRows(manifest: Manifest, options: RowOptions = {}): CheckedRows {
  const { into } = options;
  if (options.map !== undefined) checkMap(manifest, options.map);
  const columns = understand(manifest, options.map, requestRules(options.profile).words);
  const map = columns.map.size === 0 ? undefined : columns.map;
  const kept = new Set(columns.kept);
  const used = new Set<string>();
  const { variants = 1, strict = false } = options;
  const deciding = { manifest, map, into };
  let scheme: KeyScheme | undefined;

  async function* rows(): AsyncGenerator<Row> {
    const place = manifest.byRow === true ? 'row' : 'line';
    const seen = openIdIndex();
    const alike = openIdIndex();
    try {
      let position = 0;
      let number = 0;
      for await (const read of manifest.entries) {
        const entry = map === undefined ? read : mapEntry(read, map);
        scheme ??= keySchemeOf(entry, deciding);
        number += 1;
        let checked = checkRow(entry, number, scheme);
        if (scheme === undefined && checked.request !== undefined) {
          scheme = schemeOfFields(entry, deciding);
          checked = checkRow(entry, number, scheme);
        }
        // Rows of an export of the batch are variants already.
        const its = checked.knownAs === undefined ? variants : 1;
        for (const one of variantsOf(checked, scheme ?? 'h1', { variants: its, strict })) {
          const row = { ...one, position };
          position += 1;
          const line = manifest.byRow === true ? row.number : row.line;
          const key = row.numbered ? row.knownAs : row.keyBasis;
          const same = key === undefined ? undefined : seen.add(key, { line, text: '' });
          const like =
            row.numbered || same !== undefined
              ? undefined
              : alike.add(likenessOf(row.keyBasis), { line, text: row.keyBasis });
          if (same !== undefined) yield withDuplicateKey(row, `${place} ${same.line}`);
          else if (like === undefined) yield row;
          else yield withSimilarId(row, `${place} ${like.line}`, like.text, strict);
        }
      }
    } finally {
      seen.close();
      alike.close();
    }
  }

  function checkRow(entry: ManifestEntry, number: number, scheme: KeyScheme | undefined): CheckedRow {
    const { raw, line, exported } = entry;
    const reading = entry.faults.filter((fault) => !isUnsentDate(fault));
    const filled = options.template === true ? fillPrompt(raw, line, { map, used }) : { raw, faults: [] };
    const read = readRequest(filled.raw, { ...options, source: sourceOf(manifest, entry), line });
    if (manifest.columns === undefined && kept.size < MOST_KEPT)
      for (const name of read.extras) kept.add(name);
    // For an unreadable row, the rules would only repeat its faults.
    const unreadable = reading.some(isError);
    const judged = [...reading, ...filled.faults].map((fault) => judge(fault, options));
    const faults = unreadable ? judged : [...judged, ...read.faults];
    const badId = faults.some((fault) => isError(fault) && fault.column === 'id');
    const { batch: of = '', key = '' } = exported ?? {};
    const knownAs = key === '' || of !== into?.name ? undefined : key;
    if (!unreadable && !badId) faults.push(...mixedIds(line, scheme, read.id, knownAs));
    const request = faults.some(isError) ? undefined : read.request;
    const hash = request && contentHash(request);
    const isDuplicate = faults.some(({ rule }) => rule === 'id-duplicate');
    const id = scheme === 'id' && !isDuplicate ? read.id : undefined;
    return defined({
      number,
      line,
      raw,
      request,
      contentHash: hash,
      mode: read.mode,
      notBefore: read.notBefore,
      priority: read.priority,
      keyBasis: id ?? (hash === undefined ? brokenKey(raw) : contentKey(hash)),
      numbered: id === undefined,
      of: of === '' ? undefined : of,
      knownAs,
      faults,
    });
  }

  /** A date in a column that is only kept. A template may bring the column into a prompt. */
  function isUnsentDate({ rule, column = '' }: Fault): boolean {
    return rule === DATE_RULE && options.template !== true && columns.kept.includes(column);
  }

  return {
    faults: manifest.faults.map((fault) => judge(fault, options)),
    scheme: () => scheme ?? 'h1',
    columns: () => ({ ...columns, kept: [...kept].filter((name) => !used.has(name)) }),
    rows: rows(),
  };
}

/** The faults of a row, with its number and id. */
export function placed({ faults, number, raw }: Row, { byRow = false }: Pick<Manifest, 'byRow'>): Fault[] {
  const { id } = raw;
  const row = {
    row: number,
    ...(typeof id === 'string' || typeof id === 'number' ? { id: String(id) } : {}),
    ...(byRow ? { byRow } : {}),
  };
  return faults.map((fault) => ({ ...fault, ...row }));
}

function judge(fault: Fault, { strict }: RowOptions): Fault {
  return strict === true ? { ...fault, severity: 'error' } : fault;
}

/** A JSON export of a CSV manifest has only text, and is read as cells again. */
function sourceOf({ format }: Manifest, { raw, source, exported }: ManifestEntry): 'csv' | 'json' {
  if (source !== undefined) return source;
  if (format === 'csv') return 'csv';
  const cells = exported?.request != null && Object.values(raw).every((value) => typeof value === 'string');
  return cells ? 'csv' : 'json';
}

/** Adds the fault of an id that a person or a spreadsheet may confuse with another. */
function withSimilarId(row: Row, where: string, like: string, strict: boolean): Row {
  const { request: _request, contentHash: _hash, ...rest } = row;
  const message = `${excerpt(shownId(row.keyBasis))} looks like the id ${excerpt(shownId(like))} of ${where}; both are sent, as two videos`;
  const severity = strict ? 'error' : 'warning';
  const fault = faultAt(row.line, 'id-lookalike', message, { column: 'id', severity });
  return { ...(strict ? rest : row), faults: [...row.faults, fault] };
}

function withDuplicateKey(row: Row, where: string): Row {
  const { request: _request, contentHash: _hash, knownAs, ...rest } = row;
  const [rule, column, message] = row.numbered
    ? [
        'row-key-duplicate',
        'row_key',
        `is the row_key of ${where} already: an export has each row once; to pay for a second video of it, empty the cell`,
      ]
    : ['id-duplicate', 'id', `is the id of ${where} already: ids are unique in a manifest`];
  return {
    ...rest,
    keyBasis: brokenKey(row.raw),
    numbered: true,
    // A row that was a duplicate before its export keeps its key.
    ...(knownAs === undefined || row.numbered ? {} : { knownAs }),
    faults: [...row.faults, faultAt(row.line, rule, message, { column })],
  };
}
