import type { Queryable } from '../../database/database.ts';
import { finding } from './invariant.ts';
import type { Finding, Invariant } from './invariant.ts';

/** Submissions with `after` < id ≤ `last`. */
export interface Slice {
  after: number;
  last: number;
  rows: number;
}

type Breach = Pick<Finding, 'batch' | 'key' | 'attempt' | 'what'>;

/** Small enough that living workers hardly notice the queries, also on the one session of an embedded ledger. */
const SLICE_ROWS = 2_000;

/** The slices of a batch (null: of all), one after another without a gap, and the empty one behind the last row. */
export async function* slices(
  db: Queryable,
  batchId: number | null,
  size = SLICE_ROWS,
): AsyncGenerator<Slice> {
  for (let after = 0; ;) {
    const { rows } = await db.query<{ last: number | null; n: number }>(
      `select max(id) as last, count(*)::int as n
         from (select id from vidbatch.submission
                where id > $1 and ($2::bigint is null or batch_id = $2) order by id limit $3) s`,
      [after, batchId, size],
    );
    const { last = null, n = 0 } = rows[0] ?? {};
    yield { after, last: last ?? Number.MAX_SAFE_INTEGER, rows: n };
    if (last === null) return;
    after = last;
  }
}

/** Where the invariant does not hold among the submissions of a slice. */
export async function lookAtSlice(
  db: Queryable,
  invariant: Invariant,
  { after, last }: Slice,
  batchId: number | null,
): Promise<Finding[]> {
  const { rows } = await db.query<Breach>(
    `select b.name as batch, s.row_key as key, v.attempt_id as attempt, v.what
       from (${invariant.sql}) v
       left join vidbatch.submission s on s.id = v.submission_id
       left join vidbatch.batch b on b.id = v.batch_id
      order by v.submission_id, v.attempt_id`,
    [after, last, batchId],
  );
  return rows.map((row) => finding(invariant, row));
}

/** The same in the whole ledger: the next `limit` findings after the one that says `after`. */
export async function lookAtWhole(
  db: Queryable,
  invariant: Invariant,
  batchId: number | null,
  { after = '', limit = 1_000 } = {},
): Promise<Finding[]> {
  const { rows } = await db.query<Breach>(
    `select b.name as batch, s.row_key as key, v.attempt_id as attempt, v.what
       from (${invariant.sql}) v
       left join vidbatch.submission s on s.id = v.submission_id
       left join vidbatch.batch b on b.id = v.batch_id
      where ($1::bigint is null or v.batch_id = $1) and v.what collate "C" > $2
      order by v.what collate "C"
      limit $3`,
    [batchId, after, limit],
  );
  return rows.map((row) => finding(invariant, row));
}
