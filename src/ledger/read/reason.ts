import type { State } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';

/** Why most of a batch's rows of one state ended there. */
export interface Reason {
  rows: number;
  code: string | null;
  httpStatus: number | null;
  /** One row's words for it, at most 200 characters. */
  message: string | null;
}

/** The commonest reason; undefined: no row of the batch is in this state. A pass over the batch's rows. */
export async function commonestReason(
  db: Queryable,
  batchId: number,
  state: State,
): Promise<Reason | undefined> {
  const { rows } = await db.query<{
    n: number;
    error_code: string | null;
    http_status: number | null;
    message: string | null;
  }>(
    `select count(*)::int as n, error_code, http_status, min(left(error, 200)) as message
       from vidbatch.submission where batch_id = $1 and state = $2
      group by error_code, http_status order by n desc, error_code, http_status limit 1`,
    [batchId, state],
  );
  const [first] = rows;
  if (first === undefined) return undefined;
  return { rows: first.n, code: first.error_code, httpStatus: first.http_status, message: first.message };
}
