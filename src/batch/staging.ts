import { textOf } from './export.ts';
import type { Fault } from '../manifest/fault.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import type { StagedRow } from '../ledger/import/merge-rows.ts';
import { readInputsOf } from '../ledger/read/rows.ts';
import type { KnownInput } from '../ledger/read/rows.ts';
import type { Manifest, RawRow } from '../manifest/entry.ts';
import type { Understanding } from '../manifest/understanding.ts';
import { openTally } from '../core/seen.ts';
import type { Tally } from '../core/seen.ts';
import { checkRows, isError, placed } from '../manifest/row.ts';
import type { KeyScheme, Row, RowOptions } from '../manifest/row.ts';

const CHUNK = { rows: 500, characters: 2_000_000 };

/** A checked row, and what is written of it. */
export interface ReadRow {
  row: Row;
  staged: StagedRow;
  /** Its key is the one in the batch. Otherwise it depends on rows that are read later, or theirs depend on it. */
  keyed: boolean;
}

/** What a manifest is as a whole. */
export interface Staged {
  rows: number;
  invalid: number;
  /** Errors that may be about every row: nothing of it may be sent. */
  broken: number;
  warnings: number;
  scheme: KeyScheme;
  columns: Understanding;
  /** Rows that an export has of this batch. */
  own: number;
  /** Batches that other rows are exported from; at most one is named. */
  others: string[];
}

export interface StagingOptions extends RowOptions {
  /** The batch whose rows they are to be; without an id there is none yet. */
  into: Pick<Batch, 'name'> & Partial<Batch>;
  /** Rows without an id are numbered as they are read: none of them is known to have a number. */
  numbering?: boolean;
  onFault?: (fault: Fault, manifest: string) => void;
  /** With the number of rows so far. */
  onProgress?: (rows: number) => void;
}

/** Checks every row, and gives them to `write` in chunks. */
export async function stageManifest(
  db: Queryable,
  manifest: Manifest,
  write: (rows: readonly ReadRow[]) => Promise<void>,
  options: StagingOptions,
): Promise<Staged> {
  const tally = options.numbering === true ? openTally() : undefined;
  try {
    return await stageNumbered(db, manifest, write, options, tally);
  } finally {
    tally?.close();
  }
}

async function stageNumbered(
  db: Queryable,
  manifest: Manifest,
  write: (rows: readonly ReadRow[]) => Promise<void>,
  options: StagingOptions,
  tally: Tally | undefined,
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
        staged: numbered(toStaged(row, known.get(row.knownAs ?? '')), tally),
        keyed: !row.numbered || tally !== undefined,
      })),
    );
  };
  /** While the ledger writes one chunk, the next one is read. */
  const flush = async (): Promise<void> => {
    await written;
    written = prepare(chunk);
    // Told by the next flush. Reading may fail before.
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

/** What the ledger has of the rows that an export names. */
async function readKnown(
  db: Queryable,
  batchId: number | undefined,
  rows: readonly Row[],
): Promise<Map<string, KnownInput>> {
  const keys = rows.map(({ knownAs }) => knownAs).filter((key) => key !== undefined);
  return batchId === undefined || keys.length === 0 ? new Map() : readInputsOf(db, batchId, keys);
}

/** Without a tally, the ledger numbers it once all rows are there. */
function numbered(row: StagedRow, tally: Tally | undefined): StagedRow {
  if (!row.numbered || tally === undefined) return row;
  return { ...row, keyBasis: `${row.keyBasis}#${tally.add(row.keyBasis)}`, numbered: false };
}

/** How much memory a row holds, about. */
function sizeOf({ raw }: Row): number {
  return Object.values(raw).reduce<number>(
    (sum, value) => sum + (typeof value === 'string' ? value.length : 100),
    0,
  );
}

/**
 * A row on its way into the ledger. One of an export whose cells say what the ledger's row says is that row, to the
 * byte: its place, its types, and its key with its number among identical ones.
 */
function toStaged(row: Row, known: KnownInput | undefined): StagedRow {
  const error = row.faults.find((fault) => fault.severity === 'error');
  const same = known !== undefined && saysTheSame(row.raw, JSON.parse(known.input) as RawRow);
  const own = row.numbered && bearsOut(row, same) ? row.knownAs : undefined;
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

/** A key is of a content: an edited row has another one. What cannot be sent has no content but its cells. */
function bearsOut({ keyBasis, knownAs, request }: Row, same: boolean): boolean {
  if (request === undefined) return same;
  return (
    knownAs?.startsWith(`${keyBasis}#`) === true && /^[1-9]\d{0,8}$/.test(knownAs.slice(keyBasis.length + 1))
  );
}

/** As cells: an absent value is an empty one, and the order of columns is that of the file. */
function saysTheSame(ours: RawRow, theirs: RawRow): boolean {
  const said = (row: RawRow, name: string): string => (Object.hasOwn(row, name) ? textOf(row[name]) : '');
  return Object.keys({ ...ours, ...theirs }).every((name) => said(ours, name) === said(theirs, name));
}
