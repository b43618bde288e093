import type { Queryable } from '../../database/database.ts';
import { secondsOf, toStored } from '../import/price.ts';
import type { Stored, StoredRow } from '../import/price.ts';

/** Milliseconds within which that share of them was over. */
export interface Percentiles {
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** The calls for the rows of a batch, as one. What a person has found at the provider was no call. */
export interface Calls {
  total: number;
  /** Nobody knows yet how they end. */
  open: number;
  /** Beyond the first of their row. */
  repeated: number;
  throttled: number;
  first: Date | null;
  last: Date | null;
  /** From claim to record, of those that were answered; null: none was. */
  latency: Percentiles | null;
}

interface PercentilesRow {
  percentiles: number[] | null;
  longest: number | null;
}

function toPercentiles({ percentiles, longest }: PercentilesRow): Percentiles | null {
  if (percentiles === null || longest === null) return null;
  const [p50 = 0, p90 = 0, p99 = 0] = percentiles;
  return { p50, p90, p99, max: longest };
}

const CALLS = `vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
    where s.batch_id = $1 and not starts_with(a.worker, 'resolve by ')`;

export async function readCalls(db: Queryable, batchId: number): Promise<Calls> {
  const { rows } = await db.query<Omit<Calls, 'latency'> & PercentilesRow>(
    `with call as (
       select a.outcome, a.number, a.claimed_at, a.finished_at,
              case when a.http_status is not null then extract(epoch from a.finished_at - a.claimed_at)::float8 * 1000 end as ms
         from ${CALLS}
     )
     select count(*)::int as total, count(*) filter (where outcome is null)::int as open,
            count(*) filter (where number > 1)::int as repeated,
            count(*) filter (where outcome = 'throttled')::int as throttled,
            min(claimed_at) as first, max(coalesce(finished_at, claimed_at)) as last,
            percentile_cont(array[0.5, 0.9, 0.99]) within group (order by ms) as percentiles, max(ms) as longest
       from call`,
    [batchId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('an aggregate has one row');
  const { percentiles, longest, ...calls } = row;
  return { ...calls, latency: toPercentiles({ percentiles, longest }) };
}

/** Calls that ended alike. */
export interface Ending {
  /** Null: nobody knows yet. */
  outcome: string | null;
  errorCode: string | null;
  calls: number;
  /** Three of them at most. */
  examples: { key: string; httpStatus: number | null; error: string | null }[];
}

/** The most frequent first. */
export async function readEndings(db: Queryable, batchId: number): Promise<Ending[]> {
  const { rows } = await db.query<{
    outcome: string | null;
    error_code: string | null;
    calls: number;
    examples: { key: string; http_status: number | null; error: string | null }[] | null;
  }>(
    `with ending as (
       select outcome, error_code, count(*)::int as calls,
              array_agg(id order by nth) filter (where nth <= 3 and outcome is distinct from 'accepted') as some
         from (select a.id, a.outcome, a.error_code, row_number() over (partition by a.outcome, a.error_code) as nth
                 from ${CALLS}) numbered
        group by outcome, error_code
     )
     select e.outcome, e.error_code, e.calls, x.examples
       from ending e
       left join lateral (
         select jsonb_agg(jsonb_build_object('key', s.row_key, 'http_status', a.http_status, 'error', left(a.error, 300))
                         order by s.line, a.number) as examples
           from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
          where a.id = any(e.some)
       ) x on true
      order by e.calls desc, e.outcome, e.error_code`,
    [batchId],
  );
  return rows.map(({ outcome, error_code: errorCode, calls, examples }) => ({
    outcome,
    errorCode,
    calls,
    examples: (examples ?? []).map(({ key, http_status: httpStatus, error }) => ({ key, httpStatus, error })),
  }));
}

/** Tasks that the provider accepted for rows of a batch, of one model and status. */
export interface Accepted {
  model: string;
  /** The provider's; null: nobody has asked yet. */
  status: string | null;
  rows: number;
  /** Of the videos, all together; null: not asked for, as it means to read every request. */
  seconds: number | null;
  /** Of their prices, those that the ledger has; null: none. */
  stored: Stored | null;
}

export async function readAccepted(
  db: Queryable,
  batchId: number,
  { withSeconds }: { withSeconds: boolean },
): Promise<Accepted[]> {
  const { rows } = await db.query<Omit<Accepted, 'stored'> & StoredRow>(
    `select s.model, s.provider_status as status, count(*)::int as rows,
            ${withSeconds ? `sum(${secondsOf('s')})::int8` : 'null::int8'} as seconds,
            count(s.price)::int as priced, sum(s.price)::text as price,
            case when min(s.currency) = max(s.currency) then min(s.currency) end as currency
       from vidbatch.submission s where s.batch_id = $1 and s.state = 'submitted'
      group by s.model, s.provider_status order by s.model, s.provider_status`,
    [batchId],
  );
  return rows.map(({ priced, price, currency, ...row }) => ({
    ...row,
    stored: toStored({ priced, price, currency }),
  }));
}

/** How long after their acceptance it was known that tasks had completed: they may have been so for a while. */
export async function readTaskTimes(db: Queryable, batchId: number): Promise<Percentiles | null> {
  const { rows } = await db.query<PercentilesRow>(
    `select percentile_cont(array[0.5, 0.9, 0.99]) within group (order by ms) as percentiles, max(ms) as longest
       from (select greatest(0, extract(epoch from finished_at - accepted_at))::float8 * 1000 as ms
               from vidbatch.task where batch_id = $1 and status = 'completed' and finished_at is not null) task`,
    [batchId],
  );
  return rows[0] === undefined ? null : toPercentiles(rows[0]);
}
