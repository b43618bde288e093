import { textOf } from './export.ts';
import { isError, type Fault, type Manifest, type RawRow } from '../manifest/entry.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { type StagedRow, stageRows } from '../ledger/import/stage.ts';
import { readInputsOf, type KnownInput } from '../ledger/read/rows.ts';
import type { Understanding } from '../manifest/columns.ts';
import type { KeyScheme, Row } from '../manifest/checked-row.ts';
import { openCounter, type Counter } from '../core/sqlite.ts';
import { checkRows, placed, type RowOptions } from '../manifest/check-rows.ts';

const CHUNK = { rows: 500, characters: 2_000_000 };

/** A checked row, and its form in the staging table. */
export interface ReadRow {
  row: Row;
  staged: StagedRow;
  /** Its key in the batch is known. Otherwise the key depends on the other rows of the manifest. */
  keyed: boolean;
}

/** The totals of a manifest. */
export interface Staged {
  rows: number;
  invalid: number;
  /** Errors that may affect every row: none of its rows may be sent. */
  broken: number;
  warnings: number;
  scheme: KeyScheme;
  columns: Understanding;
  /** Rows that were exported from this batch. */
  own: number;
  /** Batches that other rows were exported from; at most one is named. */
  others: string[];
}

interface StagingOptions extends RowOptions {
  /** The target batch; without an id it does not exist yet. */
  into: Pick<Batch, 'name'> & Partial<Batch>;
  /** Rows without an id are numbered as they are read, since none of them has a number in the batch. */
  numbering?: boolean;
  onFault?: (fault: Fault, manifest: string) => void;
  /** With the number of rows so far. */
  onProgress?: (rows: number) => void;
}

/** Writes checked rows into the staging table. */
export function writeStaged(db: Queryable, importId: string, rows: readonly ReadRow[]): Promise<void> {
  const staged = rows.map((row) => row.staged);
  return stageRows(db, importId, staged);
}

/** Checks every row, and gives them to `write` in chunks. Without a ledger, every row is new. */
export async function stageManifest(
  db: Queryable | undefined,
  manifest: Manifest,
  write: (rows: readonly ReadRow[]) => Promise<void>,
  options: StagingOptions,
): Promise<Staged> {
  const counter = options.numbering === true ? openCounter() : undefined;
  try {
    return await stageNumbered(db, manifest, write, options, counter);
  } finally {
    counter?.close();
  }
}

async function stageNumbered(
  db: Queryable | undefined,
  manifest: Manifest,
  write: (rows: readonly ReadRow[]) => Promise<void>,
  options: StagingOptions,
  counter: Counter | undefined,
): Promise<Staged> {
  const { into } = options;
  const { rows, faults, scheme, columns } = checkRows(manifest, options);
  const report = (fault: Fault): void => options.onFault?.(fault, manifest.name);
  for (const fault of faults) report(fault);
  const totals = { rows: 0, invalid: 0, broken: faults.filter(isError).length, warnings: 0, own: 0 };
  let others: string[] = [];
  let chunk: Row[] = [];
  let characters = 0;
  let written = Promise.resolve();
  const prepare = async (rows: readonly Row[]): Promise<void> => {
    const known = await readKnown(db, into.id, rows);
    await write(
      rows.map((row) => ({
        row,
        staged: numbered(toStaged(row, known.get(row.knownAs ?? '')), counter),
        keyed: !row.numbered || counter !== undefined,
      })),
    );
  };
  /** While the ledger writes one chunk, the next one is read. */
  const flush = async (): Promise<void> => {
    await written;
    written = prepare(chunk);
    // The next flush reports the error.
    written.catch(() => undefined);
    chunk = [];
    characters = 0;
  };
  for await (const row of rows) {
    totals.rows += 1;
    if (row.request === undefined) totals.invalid += 1;
    if (row.knownAs !== undefined) totals.own += 1;
    if (row.of !== undefined && row.of !== into.name) others = [row.of];
    for (const fault of placed(row, manifest)) {
      report(fault);
      if (isError(fault) && fault.scope === 'file') totals.broken += 1;
      if (fault.severity === 'warning') totals.warnings += 1;
    }
    chunk.push(row);
    characters += sizeOf(row);
    if (chunk.length < CHUNK.rows && characters < CHUNK.characters) continue;
    await flush();
    options.onProgress?.(totals.rows);
  }
  if (chunk.length > 0) await flush();
  await written;
  return { ...totals, scheme: scheme(), columns: columns(), others };
}

/** The input of exported rows, as the ledger has it. */
async function readKnown(
  db: Queryable | undefined,
  batchId: number | undefined,
  rows: readonly Row[],
): Promise<Map<string, KnownInput>> {
  const keys = rows.map(({ knownAs }) => knownAs).filter((key) => key !== undefined);
  return db === undefined || batchId === undefined || keys.length === 0
    ? new Map()
    : readInputsOf(db, batchId, keys);
}

/** Without a counter, the ledger numbers the rows after the last one is staged. */
function numbered(row: StagedRow, counter: Counter | undefined): StagedRow {
  if (!row.numbered || counter === undefined) return row;
  return { ...row, keyBasis: `${row.keyBasis}#${counter.add(row.keyBasis)}`, numbered: false };
}

/** Roughly the memory that a row takes. */
function sizeOf({ raw }: Row): number {
  return Object.values(raw).reduce<number>(
    (sum, value) => sum + (typeof value === 'string' ? value.length : 100),
    0,
  );
}

/**
 * The row for the staging table. An exported row with unchanged cells is exactly the row of the ledger: with its line, the
 * types of its values, and its key.
 */
function toStaged(row: Row, known: KnownInput | undefined): StagedRow {
  const error = row.faults.find((fault) => fault.severity === 'error');
  const same = known !== undefined && hasSameCells(row.raw, JSON.parse(known.input) as RawRow);
  const own = row.numbered && confirmsKey(row, same) ? row.knownAs : undefined;
  return {
    position: row.position,
    line: known?.line ?? row.line,
    keyBasis: own ?? row.keyBasis,
    numbered: row.numbered && own === undefined,
    // Escapes NUL and lone surrogates, which Postgres text cannot hold.
    input: same ? known.input : JSON.stringify(row.raw),
    request: row.request === undefined ? null : JSON.stringify(row.request),
    contentHash: row.contentHash ?? null,
    model: row.request?.model ?? null,
    mode: row.mode ?? null,
    notBefore: row.notBefore ?? null,
    priority: row.priority ?? 0,
    errorCode: error?.rule ?? null,
    error:
      error === undefined ? null : `${error.column === undefined ? '' : `${error.column}: `}${error.message}`,
  };
}

/** A key belongs to a content: an edited row has another key. An invalid row has no content but its cells. */
function confirmsKey({ keyBasis, knownAs, request }: Row, same: boolean): boolean {
  if (request === undefined) return same;
  return (
    knownAs?.startsWith(`${keyBasis}#`) === true && /^[1-9]\d{0,8}$/.test(knownAs.slice(keyBasis.length + 1))
  );
}

/** An absent value equals an empty one, and the order of the columns does not count. */
function hasSameCells(ours: RawRow, theirs: RawRow): boolean {
  const said = (row: RawRow, name: string): string => (Object.hasOwn(row, name) ? textOf(row[name]) : '');
  return Object.keys({ ...ours, ...theirs }).every((name) => said(ours, name) === said(theirs, name));
}
