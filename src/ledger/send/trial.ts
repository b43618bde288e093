import type { Queryable } from '../../database/database.ts';

/** A batch goes on, and its outcomes are counted anew: what was sent before says nothing of it. */
export const TRIAL = `state = case state when 'stopped' then 'active' else state end, stop_code = null, stop_reason = null,
  trial_at = now(), succeeded = 0, failed = 0, canaries = coalesce(canary_rows, 0), proven = proven and canary_rows is null`;

/** What stops a batch; null: nothing does any more. Without it, as it is. */
export interface Rules {
  /** A share of its outcomes, over 0 and up to 1. */
  failShare?: number | null;
  canaryRows?: number | null;
}

export async function setRules(
  db: Queryable,
  batchId: number,
  { failShare, canaryRows }: Rules,
): Promise<void> {
  await db.query(
    `update vidbatch.batch
        set fail_share = case when $2 then $3::numeric else fail_share end,
            canary_rows = case when $4 then $5::int else canary_rows end
      where id = $1`,
    [batchId, failShare !== undefined, failShare ?? null, canaryRows !== undefined, canaryRows ?? null],
  );
}

export async function beginTrial(db: Queryable, batchId: number): Promise<void> {
  await db.query(`update vidbatch.batch set ${TRIAL} where id = $1`, [batchId]);
}
