import type { Queryable } from '../../database/database.ts';

/** Assignments of a batch that continues: its outcomes are counted from now on, because earlier ones were about other rows or rules. */
export const RESTARTED = `state = case state when 'stopped' then 'active' else state end, stop_code = null, stop_reason = null,
  counted_since = now(), succeeded = 0, failed = 0, canaries = coalesce(canary_rows, 0), proven = proven and canary_rows is null`;

/** What stops a batch. Null removes a limit, undefined leaves it. */
export interface FailureLimits {
  /** The share of its outcomes that may be failures: above 0, at most 1. */
  failShare?: number | null;
  canaryRows?: number | null;
}

export async function setFailureLimits(
  db: Queryable,
  batchId: number,
  { failShare, canaryRows }: FailureLimits,
): Promise<void> {
  await db.query(
    `update vidbatch.batch
        set fail_share = case when $2 then $3::numeric else fail_share end,
            canary_rows = case when $4 then $5::int else canary_rows end
      where id = $1`,
    [batchId, failShare !== undefined, failShare ?? null, canaryRows !== undefined, canaryRows ?? null],
  );
}

export async function restartCounts(db: Queryable, batchId: number): Promise<void> {
  await db.query(`update vidbatch.batch set ${RESTARTED} where id = $1`, [batchId]);
}
