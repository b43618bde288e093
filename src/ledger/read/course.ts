import type { Queryable } from '../../database/database.ts';

/** How far a batch had come at one moment. */
export interface CoursePoint {
  /** Milliseconds since 1970. */
  at: number;
  accepted: number;
  completed: number;
  /** Tasks that failed at the provider. */
  failed: number;
}

/** A chart shows no more. */
const POINTS = 160;

/** From the first accepted row to the last task that ended. */
export async function readCourse(db: Queryable, batchId: number): Promise<CoursePoint[]> {
  const { rows } = await db.query<CoursePoint>(
    `with moment as (
       select a.finished_at as at, 'accepted' as what
         from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
        where s.batch_id = $1 and a.outcome = 'accepted'
       union all
       select coalesce(t.finished_at, t.answered_at), t.status
         from vidbatch.task t where t.batch_id = $1 and t.status in ('completed', 'failed')
     ),
     span as (
       select min(at) as first, greatest(extract(epoch from max(at) - min(at)), 0.001)::float8 as seconds from moment
     ),
     numbered as (
       select m.what, s.first, s.seconds, ceil(extract(epoch from m.at - s.first)::float8 / s.seconds * $2) as step
         from moment m cross join span s where m.at is not null
     )
     select extract(epoch from first)::float8 * 1000 + step / $2 * seconds * 1000 as at,
            (count(*) filter (where what = 'accepted'))::int as accepted,
            (count(*) filter (where what = 'completed'))::int as completed,
            (count(*) filter (where what = 'failed'))::int as failed
       from numbered group by step, first, seconds order by step`,
    [batchId, POINTS],
  );
  const sum = { accepted: 0, completed: 0, failed: 0 };
  return rows.map(({ at, accepted, completed, failed }) => {
    sum.accepted += accepted;
    sum.completed += completed;
    sum.failed += failed;
    return { at, ...sum };
  });
}

/** Upper limits of latencies, in milliseconds. */
const LIMITS_MS = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000];

export interface LatencyGroup {
  /** Calls that took less than this, and at least the limit before; null: longer than all limits. */
  belowMs: number | null;
  calls: number;
}

/** How long answered calls took. Groups without a call are left out at both ends. */
export async function readLatencies(db: Queryable, batchId: number): Promise<LatencyGroup[]> {
  const { rows } = await db.query<{ bucket: number; calls: number }>(
    `select width_bucket(extract(epoch from a.finished_at - a.claimed_at)::float8 * 1000, $2::float8[]) as bucket,
            count(*)::int as calls
       from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
      where s.batch_id = $1 and a.http_status is not null and a.finished_at is not null
        and not starts_with(a.worker, 'resolve by ')
      group by 1 order by 1`,
    [batchId, LIMITS_MS],
  );
  const [first, last] = [rows[0]?.bucket ?? 0, rows.at(-1)?.bucket ?? -1];
  const counted = new Map(rows.map(({ bucket, calls }) => [bucket, calls]));
  return Array.from({ length: last - first + 1 }, (_, n) => ({
    belowMs: LIMITS_MS[first + n] ?? null,
    calls: counted.get(first + n) ?? 0,
  }));
}
