import { textOf } from './export.ts';
import type { Queryable } from './ledger/database.ts';
import type { StagedRow } from './ledger/import.ts';
import { readInputsOf } from './ledger/read.ts';
import type { KnownInput } from './ledger/read.ts';
import type { RawRow } from './manifest/entry.ts';
import type { Row } from './row.ts';

/** What the ledger has of the rows that an export names. */
export async function readKnown(
  db: Queryable,
  batchId: number | undefined,
  rows: readonly Row[],
): Promise<Map<string, KnownInput>> {
  const keys = rows.map(({ knownAs }) => knownAs).filter((key) => key !== undefined);
  return batchId === undefined || keys.length === 0 ? new Map() : readInputsOf(db, batchId, keys);
}

/** How much memory a row holds, about. */
export function sizeOf({ raw }: Row): number {
  return Object.values(raw).reduce<number>(
    (sum, value) => sum + (typeof value === 'string' ? value.length : 100),
    0,
  );
}

/**
 * A row on its way into the ledger. One of an export whose cells say what the ledger's row says is that row, to the
 * byte: its place, its types, and its key with its number among identical ones.
 */
export function toStaged(row: Row, known: KnownInput | undefined): StagedRow {
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
