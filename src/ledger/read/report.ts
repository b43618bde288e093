import type { Queryable } from '../../database/database.ts';
import { readOne } from './query.ts';
import { secondsOf, toStored } from '../money/row-price.ts';
import type { Stored, StoredRow } from '../money/row-price.ts';

/** Milliseconds within which 50, 90 and 99 % of the calls ended. */
export interface Percentiles {
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** The calls for the rows of a batch. A task id that a person found is not a call. */
export interface Calls {
  total: number;
  /** Calls without a recorded outcome. */
  open: number;
  /** Calls after the first call of their row. */
  repeated: number;
  throttled: number;
  first: Date | null;
  last: Date | null;
  /** From claim to record, for answered calls; null: no call was answered. */
  latency: Percentiles | null;
}

/** `Percentiles` of the column `ms`, as SQL; null: no row has a value. */
const PERCENTILES = `case when count(ms) > 0 then json_build_object(
              'p50', percentile_cont(0.5) within group (order by ms), 'p90', percentile_cont(0.9) within group (order by ms),
              'p99', percentile_cont(0.99) within group (order by ms), 'max', max(ms)) end`;

const CALLS = `vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
    where s.batch_id = $1 and not starts_with(a.worker, 'resolve by ')`;

export function readCalls(db: Queryable, batchId: number): Promise<Calls> {
  return readOne<Calls>(
    db,
    `with call as (
       select a.outcome, a.number, a.claimed_at, a.finished_at,
              case when a.http_status is not null then extract(epoch from a.finished_at - a.claimed_at)::float8 * 1000 end as ms
         from ${CALLS}
     )
     select count(*)::int as total, count(*) filter (where outcome is null)::int as open,
            count(*) filter (where number > 1)::int as repeated,
            count(*) filter (where outcome = 'throttled')::int as throttled,
            min(claimed_at) as first, max(coalesce(finished_at, claimed_at)) as last, ${PERCENTILES} as latency
       from call`,
    [batchId],
  );
}

/** Calls with the same outcome and error. */
export interface Ending {
  /** Null: no outcome is recorded. */
  outcome: string | null;
  errorCode: string | null;
  calls: number;
  /** At most three. */
  examples: { key: string; httpStatus: number | null; error: string | null }[];
}

/** The most frequent first. */
export async function readEndings(db: Queryable, batchId: number): Promise<Ending[]> {
  const { rows } = await db.query<Ending>(
    `with ending as (
       select outcome, error_code, count(*)::int as calls,
              array_agg(id order by nth) filter (where nth <= 3 and outcome is distinct from 'accepted') as some
         from (select a.id, a.outcome, a.error_code, row_number() over (partition by a.outcome, a.error_code) as nth
                 from ${CALLS}) numbered
        group by outcome, error_code
     )
     select e.outcome, e.error_code as "errorCode", e.calls, coalesce(x.examples, '[]') as examples
       from ending e
       left join lateral (
         select json_agg(json_build_object('key', s.row_key, 'httpStatus', a.http_status, 'error', left(a.error, 300))
                         order by s.line, a.number) as examples
           from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
          where a.id = any(e.some)
       ) x on true
      order by e.calls desc, e.outcome, e.error_code`,
    [batchId],
  );
  return rows;
}

/** Tasks that the provider accepted for rows of a batch, of one model and status. */
export interface Accepted {
  model: string;
  /** The provider's status; null: it was not asked yet. */
  status: string | null;
  rows: number;
  /** Seconds of all videos; null: not read, because that reads every request. */
  seconds: number | null;
  /** The prices that the ledger has; null: none. */
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

/** How long after their acceptance tasks were first seen completed. They may have completed earlier. */
export async function readTaskTimes(db: Queryable, batchId: number): Promise<Percentiles | null> {
  const { times } = await readOne<{ times: Percentiles | null }>(
    db,
    `select ${PERCENTILES} as times
       from (select greatest(0, extract(epoch from finished_at - accepted_at))::float8 * 1000 as ms
               from vidbatch.task where batch_id = $1 and status = 'completed' and finished_at is not null) task`,
    [batchId],
  );
  return times;
}
