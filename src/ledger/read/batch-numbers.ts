import { noCounts, type Counts, type State } from '../../core/states.ts';
import { noTaskCounts, type TaskCounts } from '../../core/task-status.ts';
import { noStages, stageOf, type StageCounts } from '../../core/video-stage.ts';
import type { Queryable } from '../../database/database.ts';
import { wasAcceptedLately } from '../row-counts.ts';
import { readOne } from './query.ts';
import type { FailReason } from '../operator/retry-failed-tasks.ts';
import { secondsOf, toStored, type Stored, type StoredRow } from '../money/row-price.ts';
import { FAIL_REASON, TASK_FAILED } from '../tasks/tasks.ts';

/** The numbers of a batch, all from the same moment, because rows change their state meanwhile. */
export interface BatchNumbers {
  counts: Counts;
  /** Second task ids of rows. */
  surplus: number;
  /** Failed tasks that were made again or will be. */
  remade: number;
  tasks: TaskCounts;
  /** How far the videos of its rows are. */
  stages: StageCounts;
  /** Why tasks of rows failed, the most frequent first. */
  failReasons: FailReason[];
  /** How many rows have each error code, the most frequent first. */
  codes: { code: string; rows: number }[];
}

/** In one statement: several would read several moments. `reasons`: false to leave out `failReasons`, which reads each failed row. */
export async function readNumbers(
  db: Queryable,
  batchId: number,
  { reasons: withReasons = true } = {},
): Promise<BatchNumbers> {
  const { rows } = await db.query<{
    of: 'rows' | 'reason' | 'surplus' | 'remade' | 'otherwise' | 'downloaded';
    state: State | null;
    status: keyof TaskCounts | null;
    reason: string | null;
    code: string | null;
    n: number;
  }>(
    `select 'rows' as of, state, case when state = 'submitted' then coalesce(provider_status, 'queued') end as status,
            null as reason, error_code as code, sum(rows)::int as n
       from vidbatch.row_count where batch_id = $1 group by state, provider_status, error_code having sum(rows) <> 0
      union all
     select 'reason', null, null, ${FAIL_REASON}, null, count(*)::int
       from vidbatch.row_state s where s.batch_id = $1 and ${TASK_FAILED} and $2::boolean group by 4
      union all
     select 'surplus', null, coalesce(t.status, 'queued'), null, null, count(*)::int
       from vidbatch.attempt a
       join vidbatch.submission s on s.id = a.submission_id
       left join vidbatch.task t on t.submission_id = a.submission_id and t.task_id = a.task_id
      where a.surplus and s.batch_id = $1 group by 3
      union all
     select 'otherwise', null, 'otherwise', null, null, count(*)::int from vidbatch.task
      where later_status is not null and batch_id = $1
      union all
     select 'remade', null, null, null, null, count(*)::int
       from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
      where a.remade_at is not null and s.batch_id = $1
      union all
     select 'downloaded', null, null, null, null, coalesce(sum(rows), 0)::int
       from vidbatch.row_count where batch_id = $1 and stored and provider_status = 'completed'`,
    [batchId, withReasons],
  );
  const numbers: BatchNumbers = {
    counts: noCounts(),
    surplus: 0,
    remade: 0,
    tasks: noTaskCounts(),
    stages: noStages(),
    failReasons: [],
    codes: [],
  };
  const codes = new Map<string, number>();
  const reasons = new Map<string, number>();
  for (const { of, state, status, reason, code, n } of rows) {
    if (state !== null) {
      numbers.counts[state] += n;
      numbers.stages[stageOf({ state, providerStatus: status, downloaded: false })] += n;
    }
    if (of === 'downloaded') {
      numbers.stages.downloaded += n;
      numbers.stages.completed -= n;
    }
    if (status !== null) numbers.tasks[status] += n;
    if (reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + n);
    if (code !== null) codes.set(code, (codes.get(code) ?? 0) + n);
    if (of === 'surplus' || of === 'remade') numbers[of] += n;
  }
  numbers.failReasons = mostFirst(reasons).map(([reason, tasks]) => ({ reason, tasks }));
  numbers.codes = mostFirst(codes).map(([code, n]) => ({ code, rows: n }));
  return numbers;
}

function mostFirst(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
}

interface NamedBatch {
  id: number;
  name: string;
}

export async function readBatchNames(db: Queryable, ids: readonly number[]): Promise<NamedBatch[]> {
  const { rows } = await db.query<NamedBatch>(
    'select id, name from vidbatch.batch where id = any($1::bigint[]) order by id',
    [ids],
  );
  return rows;
}

/** Whether everything is paused, and which of these batches are paused. */
export async function readPausedBatches(
  db: Queryable,
  ids: readonly number[],
): Promise<{ all: boolean; batches: ReadonlySet<number> }> {
  const { all, paused } = await readOne<{ all: boolean; paused: number[] }>(
    db,
    `select paused_at is not null as "all",
            array(select id from vidbatch.batch where id = any($1::bigint[]) and state = 'paused') as paused
       from vidbatch.meta`,
    [ids],
  );
  return { all, batches: new Set(paused) };
}

const WINDOW_S = 60;

/** How many rows of a batch were accepted in the last minute. */
export interface Speed {
  accepted: number;
  /** How long that was: a minute, or less if the first row was accepted later; at least a second. */
  seconds: number;
}

export async function readSpeed(db: Queryable, batchId: number): Promise<Speed> {
  if (!(await wasAcceptedLately(db, batchId, WINDOW_S))) return { accepted: 0, seconds: WINDOW_S };
  return readOne<Speed>(
    db,
    `select count(*) filter (where submitted_at > now() - $2 * interval '1 second')::int as accepted,
            least($2, greatest(1, coalesce(extract(epoch from now() - min(submitted_at)), $2)))::float8 as seconds
       from vidbatch.submission where batch_id = $1 and state = 'submitted'`,
    [batchId, WINDOW_S],
  );
}

/** The most frequent reason of the rows of a batch in one state. */
export interface Reason {
  rows: number;
  code: string | null;
  httpStatus: number | null;
  /** The error of one of the rows, at most 200 characters. */
  message: string | null;
}

/** Reads all rows of the batch. Undefined: no row is in this state. */
export async function readCommonestReason(
  db: Queryable,
  batchId: number,
  state: State,
): Promise<Reason | undefined> {
  const { rows } = await db.query<Reason>(
    `select count(*)::int as rows, error_code as code, http_status as "httpStatus", min(left(error, 200)) as message
       from vidbatch.submission where batch_id = $1 and state = $2
      group by error_code, http_status order by rows desc, error_code, http_status limit 1`,
    [batchId, state],
  );
  return rows[0];
}

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
  { seconds }: { seconds: number | null },
): Promise<Accepted[]> {
  const { rows } = await db.query<Omit<Accepted, 'stored'> & StoredRow>(
    `select s.model, s.provider_status as status, count(*)::int as rows,
            ${seconds === null ? 'null::int8' : `sum(${secondsOf('s', seconds)})::int8`} as seconds,
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
