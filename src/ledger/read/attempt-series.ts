import type { Queryable } from '../../database/database.ts';
import { readOne } from './query.ts';

/** The most rows whose attempts are read. Of larger batches, a sample: its cost does not grow with the batch. */
const MOST_ROWS = 5_000;
/** The most numbers that are tried for a row: the ids of a batch may be far apart. */
const MOST_TRIES = 20_000;
const MOST_POINTS = 60;

/** Seconds that a point may stand for. */
const STEPS = [
  1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800, 2_592_000, 31_536_000,
];

/** What happened to the rows of a batch in one step of time. */
export interface SeriesPoint {
  /** The beginning of the step, milliseconds since the epoch. */
  at: number;
  accepted: number;
  throttled: number;
  /** Milliseconds from claim to answer, for answered calls; null: no call was answered. */
  p50: number | null;
  p95: number | null;
  /** Of the accepted rows, by their prices. */
  spent: number;
  /** Accepted rows whose price is not known. They are not in `spent`. */
  unpriced: number;
}

export interface Series {
  stepSeconds: number;
  /** 1: all rows were read. n: one of n rows was read, and the numbers are multiplied by n. */
  sampled: number;
  /** Null: no price is known, or there are several currencies. */
  currency: string | null;
  /** In the order of time, without the steps in which nothing happened. */
  points: SeriesPoint[];
}

export interface SampleScope {
  rows: number;
  /** The lowest and the highest id of the rows in the scope. */
  ids: { first: number; last: number };
}

/** The lowest and the highest id of the rows of a batch; null: it has none. */
export async function readIdSpan(db: Queryable, batchId: number): Promise<SampleScope['ids'] | null> {
  const { first, last } = await readOne<{ first: number | null; last: number | null }>(
    db,
    // `offset 0`: otherwise Postgres may look for the first row of the batch among the rows of all batches, by id.
    `select min(id) as first, max(id) as last from (select id from vidbatch.row where batch_id = $1 offset 0) r`,
    [batchId],
  );
  return first === null || last === null ? null : { first, last };
}

/** Which ids are read: one of each `step`, at changing places, because the rows of a manifest may alternate. */
export function stepOf({ rows, ids }: SampleScope): number {
  return Math.max(1, Math.ceil(rows / MOST_ROWS), Math.ceil((ids.last - ids.first + 1) / MOST_TRIES));
}

/** The calls for the rows of a batch over time, in at most sixty steps; null: there were none. */
export async function readSeries(db: Queryable, batchId: number, scope: SampleScope): Promise<Series | null> {
  const sampled = stepOf(scope);
  const { sql, params } = callsOf(scope, sampled);
  const { rows } = await db.query<SeriesPoint & Pick<Series, 'stepSeconds' | 'currency'>>(
    `with call as materialized (${sql}), span as (
       select case when min(currency) = max(currency) then min(currency) end as currency,
              (select min(step) from unnest($2::int[]) step
                where extract(epoch from max(at) - min(at)) / step < ${MOST_POINTS} - 1) as step
         from call
     )
     select floor(extract(epoch from at) / step)::float8 * step * 1000 as at, step as "stepSeconds", span.currency,
            (count(*) filter (where outcome = 'accepted'))::int * $3::int as accepted,
            (count(*) filter (where outcome = 'throttled'))::int * $3::int as throttled,
            percentile_cont(0.5) within group (order by ms) as p50,
            percentile_cont(0.95) within group (order by ms) as p95,
            (coalesce(sum(price) filter (where outcome = 'accepted'), 0) * $3::int)::float8 as spent,
            (count(*) filter (where outcome = 'accepted' and price is null))::int * $3::int as unpriced
       from call cross join span
      group by 1, 2, 3 order by 1`,
    [batchId, STEPS, sampled, ...params],
  );
  const [first] = rows;
  if (first === undefined) return null;
  const { stepSeconds, currency } = first;
  const points = rows.map(({ stepSeconds: _step, currency: _currency, ...point }) => point);
  return { stepSeconds, sampled, currency, points };
}

/** The ended calls of the chosen rows, as SQL. Parameter 1 is the batch, 3 the step between ids. */
function callsOf({ ids }: SampleScope, step: number): { sql: string; params: number[] } {
  const columns = `a.outcome, a.finished_at as at, coalesce(a.remade_price, s.price) as price, s.currency,
         case when a.http_status is not null then extract(epoch from a.finished_at - a.claimed_at)::float8 * 1000 end as ms`;
  const joined = `join vidbatch.attempt a on a.submission_id = s.id
    where s.batch_id = $1 and a.finished_at is not null and not starts_with(a.worker, 'resolve by ')`;
  if (step === 1) return { sql: `select ${columns} from vidbatch.row_state s ${joined}`, params: [] };
  // Each id is looked up on its own: a join would read the whole table.
  return {
    sql: `select ${columns}
       from (select $4::bigint + n * $3 + (n * 1000003) % $3 as id
               from generate_series(0::bigint, ($5::bigint - $4::bigint) / $3) n) chosen
      cross join lateral (select id, batch_id, price, currency from vidbatch.row_state
                           where row_state.id = chosen.id offset 0) s
       ${joined}`,
    params: [ids.first, ids.last],
  };
}
