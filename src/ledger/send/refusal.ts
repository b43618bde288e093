import { AFFORDABLE } from '../budget.ts';
import type { Queryable } from '../../database/database.ts';
import { OPENS_IN_MS, WINDOW_OPEN } from './window.ts';

/** Why a row is not claimed. `waitMs`: the gate is known to open then; without it, the feeder will notice. */
export interface Refusal {
  submissionId: number;
  reason:
    | 'unknown'
    | 'not-pending'
    | 'not-due'
    | 'other-batch'
    | 'other-provider'
    | 'paused'
    | 'cancelled'
    | 'stopped'
    | 'halted'
    | 'expired'
    | 'window'
    | 'budget'
    | 'throttled'
    | 'rate'
    | 'in-flight'
    | 'alone';
  waitMs?: number;
  /** Its model has to wait: rows of others need not. */
  ofModel?: true;
}

/** The first shut gate of each row, in the order in which a person would want to hear of them. */
export async function refusals(
  db: Queryable,
  scope: { origin: string; batches: readonly number[] | null },
  submissionIds: readonly number[],
): Promise<Refusal[]> {
  const { rows } = await db.query<{
    submission_id: number;
    reason: Refusal['reason'];
    wait_ms: number | null;
    opens_in_ms: number | null;
  }>(
    `select w.id as submission_id,
            case
              when s.id is null then 'unknown'
              when s.state <> 'pending' then 'not-pending'
              when $3::bigint[] is not null and not (b.id = any($3)) then 'other-batch'
              when b.origin is distinct from $2 then 'other-provider'
              when b.state = 'cancelled' then 'cancelled'
              when m.paused_at is not null or b.state = 'paused' then 'paused'
              when b.state = 'stopped' then 'stopped'
              when p.state = 'halted' then 'halted'
              when not ${WINDOW_OPEN} then
                case when b.not_after > now() + interval '1 second' then 'window' else 'expired' end
              when not coalesce(${AFFORDABLE}, false) then 'budget'
              when p.throttled_until > now() then 'throttled'
              when s.not_before > now() then 'not-due'
              else 'alone'
            end as reason,
            case when isfinite(greatest(s.not_before, p.throttled_until)) -- before 17, infinity has no difference
              then (extract(epoch from greatest(s.not_before, p.throttled_until) - now()) * 1000)::float8
            end as wait_ms,
            ${OPENS_IN_MS} as opens_in_ms
       from unnest($1::bigint[]) as w(id)
      cross join vidbatch.meta m
       left join vidbatch.submission s on s.id = w.id
       left join vidbatch.batch b on b.id = s.batch_id
       left join vidbatch.provider p on p.origin = b.origin`,
    [submissionIds, scope.origin, scope.batches],
  );
  return rows.map((row) => {
    const waits = row.reason === 'throttled' || row.reason === 'not-due';
    const waitMs = row.reason === 'window' ? row.opens_in_ms : waits ? row.wait_ms : null;
    return {
      submissionId: row.submission_id,
      reason: row.reason,
      ...(waitMs === null ? {} : { waitMs: Math.max(1, Math.ceil(waitMs)) }),
    };
  });
}
