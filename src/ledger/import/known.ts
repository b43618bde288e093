import { frequent, type Database, type Queryable } from '../../database/database.ts';
import { readCount } from '../read/query.ts';
import type { StagedRow } from './stage.ts';

/** The content of row `x` was sent or may have been, as SQL. */
export const SENT = `(x.state in ('submitting', 'submitted', 'uncertain') or x.doubtful or x.remade > 0)`;

/** It waits to be sent. */
export const WAITS = `x.state = 'pending'`;

/**
 * The staged row `t` is another version of `row`, whose state is `s`, as SQL. A row that a worker found invalid has changed
 * if it breaks no rule any more.
 */
export function isChanged(row: 's' | 'r'): string {
  return `(${row}.content_hash is distinct from t.content_hash or (${row}.content_hash is null and ${row}.input <> t.input)
           or (s.state = 'invalid' and t.request is not null))`;
}

/** A row of the batch that the manifest still has, and a mark of its content. */
export interface Known {
  id: number;
  mark: string;
}

/** The mark: a number for the content of a row, as SQL. */
export const MARK = (row: string): string => `hashtextextended(coalesce(${row}.content_hash, ''), 0)`;

/**
 * The ids of rows that the manifest still has unchanged. They are not staged, because nothing is to be done for them. Their
 * ids rise in the order of the manifest, so a million ids are a few ranges.
 */
export class KnownRows {
  readonly #low: number[] = [];
  readonly #high: number[] = [];
  #count = 0;
  #marks = 0n;

  get count(): number {
    return this.#count;
  }

  /** The sum of the marks of their contents. Another sum means that a row was changed since it was read. */
  get marks(): string {
    return String(this.#marks);
  }

  add({ id, mark }: Known): void {
    this.#count += 1;
    this.#marks += BigInt(mark);
    const last = this.#high.length - 1;
    if (this.#high[last] === id - 1) this.#high[last] = id;
    else {
      this.#low.push(id);
      this.#high.push(id);
    }
  }

  /** The parameters of `KNOWN`. */
  get ranges(): [low: readonly number[], high: readonly number[]] {
    return [this.#low, this.#high];
  }
}

/** The ids of `KnownRows`, as SQL. Their ranges are the parameters $3 and $4, after the import and the batch. */
export const KNOWN = knownFrom(3);

/** The same; `first`: the number of its first parameter. */
export function knownFrom(first: number): string {
  return `(select generate_series(low, high) as id
             from unnest($${first}::bigint[], $${first + 1}::bigint[]) as range(low, high))`;
}

/** The rows that a command has read of a manifest. */
export interface ReadRows {
  importId: string;
  /** How many rows are staged; 0: there is no import. */
  staged: number;
  known: KnownRows;
  /** How many rows are new, but not staged: a plan does not need them. */
  fresh: number;
}

/**
 * The rows among these that the batch already has with the same key and content, by position. `exact`: also with the
 * same line and spelling.
 */
export async function findKnown(
  db: Database,
  batchId: number,
  rows: readonly StagedRow[],
  exact: boolean,
): Promise<Map<number, Known>> {
  const { rows: found } = await frequent(db).query<Known & { position: number }>(
    `select k.position, r.id, ${MARK('r')}::text as mark
       from unnest($2::bigint[], $3::text[], $4::text[], $5::int[], $6::text[]) as k(position, row_key, content_hash, line, input)
       join vidbatch.row r on r.batch_id = $1 and r.row_key = k.row_key
       join vidbatch.row_state s on s.id = r.id
      where (s.state <> 'invalid' or r.content_hash is null) and r.content_hash is not distinct from k.content_hash
        and (k.line is null or r.line = k.line) and (k.input is null or r.input = k.input)`,
    [
      batchId,
      rows.map((row) => row.position),
      rows.map((row) => row.keyBasis),
      rows.map((row) => row.contentHash),
      rows.map((row) => (exact ? row.line : null)),
      rows.map((row) => (exact || row.contentHash === null ? row.input : null)),
    ],
  );
  return new Map(found.map(({ position, ...known }) => [position, known]));
}

/** Those of the contents that were sent, or wait to be sent. */
export async function findSentOrWaiting(
  db: Database,
  hashes: readonly (string | null)[],
): Promise<Set<string>> {
  const { rows } = await frequent(db).query<{ hash: string }>(
    `select k.hash from unnest($1::text[]) as k(hash)
      where exists (select from vidbatch.submission x where x.content_hash = k.hash and (${WAITS} or ${SENT}))`,
    [hashes],
  );
  return new Set(rows.map(({ hash }) => hash));
}

export function countRows(db: Queryable, batchId: number): Promise<number> {
  return readCount(db, 'select count(*)::int as n from vidbatch.row where batch_id = $1', [batchId]);
}
