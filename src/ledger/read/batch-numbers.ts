import { noCounts } from '../../core/states.ts';
import type { Counts, State } from '../../core/states.ts';
import { noTaskCounts } from '../../core/task-status.ts';
import type { TaskCounts } from '../../core/task-status.ts';
import type { Queryable } from '../../database/database.ts';
import { readOne } from './query.ts';
import type { FailReason } from '../operator/retry-failed-tasks.ts';

/** The numbers of a batch, all from the same moment, because rows change their state meanwhile. */
export interface BatchNumbers {
  counts: Counts;
  /** Second task ids of rows. */
  surplus: number;
  /** Failed tasks that were made again or will be. */
  remade: number;
  tasks: TaskCounts;
  /** Why tasks of rows failed, the most frequent first. */
  failReasons: FailReason[];
}

/** In one statement: several would read several moments. */
export async function readNumbers(db: Queryable, batchId: number): Promise<BatchNumbers> {
  const { rows } = await db.query<{
    of: 'rows' | 'surplus' | 'remade' | 'otherwise';
    state: State | null;
    status: keyof TaskCounts | null;
    reason: string | null;
    n: number;
  }>(
    `select 'rows' as of, state, case when state = 'submitted' then coalesce(provider_status, 'queued') end as status,
            case when state = 'submitted' and provider_status = 'failed'
              then coalesce(left(error, 200), 'no reason known') end as reason, count(*)::int as n
       from vidbatch.submission where batch_id = $1 group by 2, 3, 4
      union all
     select 'surplus', null, coalesce(t.status, 'queued'), null, count(*)::int
       from vidbatch.attempt a
       join vidbatch.submission s on s.id = a.submission_id
       left join vidbatch.task t on t.submission_id = a.submission_id and t.task_id = a.task_id
      where a.surplus and s.batch_id = $1 group by 3
      union all
     select 'otherwise', null, 'otherwise', null, count(*)::int from vidbatch.task
      where later_status is not null and batch_id = $1
      union all
     select 'remade', null, null, null, count(*)::int
       from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
      where a.remade_at is not null and s.batch_id = $1`,
    [batchId],
  );
  const numbers: BatchNumbers = {
    counts: noCounts(),
    surplus: 0,
    remade: 0,
    tasks: noTaskCounts(),
    failReasons: [],
  };
  for (const { of, state, status, reason, n } of rows) {
    if (state !== null) numbers.counts[state] += n;
    if (status !== null) numbers.tasks[status] += n;
    if (reason !== null) numbers.failReasons.push({ reason, tasks: n });
    if (of === 'surplus' || of === 'remade') numbers[of] += n;
  }
  numbers.failReasons.sort((a, b) => b.tasks - a.tasks || (a.reason < b.reason ? -1 : 1));
  return numbers;
}

interface NamedBatch {
  id: number;
  name: string;
}

/** The batches with these ids, in the order of the ids. */
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

export function readSpeed(db: Queryable, batchId: number): Promise<Speed> {
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
