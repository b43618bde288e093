import type { Prices } from '../../core/money/prices.ts';
import type { Queryable } from '../../database/database.ts';
import { UNKNOWN } from '../send/unknown-outcome.ts';
import { priceNamed, secondsOf, toStored, type Stored, type StoredRow } from '../money/row-price.ts';
import { reactivate } from './retry.ts';
import { readCount } from '../read/query.ts';
import { FAIL_REASON, NO_REASON, TASK_FAILED } from '../tasks/tasks.ts';

/** Rows of one model whose task failed at the provider. */
interface FailedTasks {
  model: string;
  toSend: number;
  seconds: number;
  shortest: number;
  stored: Stored | null;
  least: null;
}

export interface FailReason {
  reason: string;
  tasks: number;
}

/** What a person sees before failed tasks are paid again. */
export interface Remakable {
  groups: FailedTasks[];
  reasons: FailReason[];
  /** Tasks that failed, but got another status later: the video may exist. */
  otherwise: number;
  /** Tasks that failed, but whose row has another task or request that may bring the video. */
  another: number;
  /** When they were counted, by the ledger's clock. */
  asOf: string;
  /** Which tasks would be made again: another set of tasks has another text. */
  mark: string;
}

/** Rows of the batch $1 whose task failed; $2: their keys, null: all of them. */
const FAILED = `vidbatch.row_state s
        join vidbatch.row r on r.id = s.id
        join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id and not t.surplus
       where s.batch_id = $1 and ${TASK_FAILED} and t.status = 'failed'
         and ($2::text[] is null or r.row_key = any($2))`;

/**
 * Row `s` has a second task for the same content that has not failed, or a later attempt that may have been accepted. The
 * row was paid twice, or the ledger was restored from a backup.
 */
const HAS_ANOTHER = `exists (
         select from vidbatch.attempt o
           left join vidbatch.task second on second.submission_id = o.submission_id and second.task_id = o.task_id
          where o.submission_id = s.id and (o.content_hash is null or o.content_hash = s.content_hash)
            and (o.surplus and o.task_id <> s.task_id
                   and (second.status is distinct from 'failed' or second.later_status is not null)
                 or ${UNKNOWN} and o.number > (select max(k.number) from vidbatch.attempt k
                                                where k.submission_id = s.id and k.task_id = s.task_id)))`;

export async function readRemakable(
  db: Queryable,
  batchId: number,
  keys: readonly string[] | null,
  seconds?: number,
): Promise<Remakable> {
  type Counts = Pick<Remakable, 'otherwise' | 'another' | 'asOf' | 'mark'>;
  const { rows } = await db.query<StoredRow & Counts & Omit<FailedTasks, 'stored' | 'least'>>(
    `select s.model, count(*) filter (where same)::int as "toSend",
            count(*) filter (where not failed)::int as otherwise, count(*) filter (where failed and not same)::int as another,
            coalesce(sum(seconds) filter (where same), 0)::int8 as seconds,
            coalesce(min(seconds) filter (where same), 0)::int as shortest,
            count(s.price) filter (where same)::int as priced, (sum(s.price) filter (where same))::text as price,
            case when min(s.currency) = max(s.currency) then min(s.currency) end as currency, now()::text as "asOf",
            md5(string_agg(task_id, ' ' order by task_id) filter (where same)) as mark
       from (select s.model, s.task_id, s.price, s.currency, ${secondsOf('r', seconds)} as seconds, t.later_status is null as failed,
                    t.later_status is null and not ${HAS_ANOTHER} as same
               from ${FAILED}) s
      group by s.model order by s.model`,
    [batchId, keys],
  );
  return {
    groups: rows
      .filter(({ toSend }) => toSend > 0)
      .map(({ model, toSend, seconds, shortest, ...price }) => {
        return { model, toSend, seconds, shortest, stored: toStored(price), least: null };
      }),
    reasons: await readFailReasons(db, batchId, keys),
    otherwise: rows.reduce((sum, { otherwise }) => sum + otherwise, 0),
    another: rows.reduce((sum, { another }) => sum + another, 0),
    asOf: rows[0]?.asOf ?? '-infinity',
    mark: rows.map(({ mark }) => mark).join(' '),
  };
}

/** The most frequent first. */
export async function readFailReasons(
  db: Queryable,
  batchId: number,
  keys: readonly string[] | null = null,
): Promise<FailReason[]> {
  const { rows } = await db.query<FailReason>(
    `select ${FAIL_REASON} as reason, count(*)::int as tasks
       from vidbatch.submission s
      where s.batch_id = $1 and ${TASK_FAILED}
        and ($2::text[] is null or s.row_key = any($2))
      group by 1 order by tasks desc, reason`,
    [batchId, keys],
  );
  return rows;
}

/**
 * Call it in a transaction. Rows whose task had failed at `asOf` become pending: a person wants the second payment. Each
 * failed task is made again once, because its row no longer names it; its attempt keeps the id and the price. The
 * idempotency key changes, because the old key would bring back the failed task.
 */
export async function remakeFailed(
  db: Queryable,
  batchId: number,
  {
    keys,
    asOf,
    who,
    prices,
    seconds,
  }: { keys: readonly string[] | null; asOf: string; who: string; prices: Prices; seconds?: number },
): Promise<number> {
  // An answer about a task locks the task, and a late answer to a POST locks the row. With both locks, an answer is seen
  // below, or waits.
  await db.query(`select t.task_id from ${FAILED} order by s.id for update of t, s`, [batchId, keys]);
  const { rows } = await db.query<{ id: number }>(
    `with failed as materialized (
       select s.id, s.task_id, s.price, s.error from ${FAILED}
         and t.later_status is null and t.finished_at <= $3::timestamptz and not ${HAS_ANOTHER}
        order by s.id for update of s
     ), ${reactivate('select from failed')}, kept as (
       update vidbatch.attempt a set remade_at = now(), remade_price = f.price
         from failed f
        -- An id that two attempts brought is one task.
        where a.id = (select o.id from vidbatch.attempt o
                       where o.submission_id = f.id and o.task_id = f.task_id and not o.surplus order by o.number limit 1)
     ), moved as (
       update vidbatch.row_state s
          set previous = s.state, state = 'pending', remade = s.remade + 1, refusals = s.refusals + 1, spent = 0,
              task_id = null, submitted_at = null, provider_status = null, polled_at = null, result_url = null,
              not_before = now(), halted_at = null,
              http_status = null, error_code = null, error = null, updated_at = now()
         from failed f where s.id = f.id
       returning s.id, s.batch_id
     ), told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, who, detail)
       select m.batch_id, m.id, 'retry --failed-tasks', $4,
              'task ' || f.task_id || ' failed: ' || coalesce(f.error, 'no reason known') || '; to be made again, and paid again'
         from moved m join failed f on f.id = m.id order by m.id
     )
     select id from moved`,
    [batchId, keys, asOf, who],
  );
  const ids = rows.map(({ id }) => id);
  if (prices.size > 0) await priceNamed(db, ids, prices, seconds);
  return ids.length;
}

/**
 * Parts of the statement of `recordPolls`, after its part `recorded`: a task that is to be made again did not fail after all.
 * While no second request of its row can have been paid, the row takes the task back. But a row that was edited meanwhile
 * stays pending, because the task does not match it any more.
 */
export const TASK_BACK = `back as (
       update vidbatch.row_state s
          set previous = s.state, state = 'submitted', task_id = k.task_id, attempt_id = a.id, called_at = a.claimed_at,
              submitted_at = k.accepted_at,
              provider_status = k.status, result_url = k.result_url, polled_at = now(), remade = s.remade - 1,
              price = coalesce(a.remade_price, s.price), halted_at = null, http_status = a.http_status,
              error_code = 'TASK_FAILED', error = coalesce(k.fail_reason, ${NO_REASON}), updated_at = now()
         from recorded k
         join vidbatch.attempt a on a.submission_id = k.submission_id and a.task_id = k.task_id and a.remade_at is not null
        where s.id = k.submission_id and k.lives and s.state = 'pending' and not s.doubtful
          and s.content_hash = a.content_hash
       returning s.id, s.batch_id, s.task_id, a.id as attempt_id, s.held - coalesce(a.remade_price, 0) as adds
     ), wanted_once as (
       update vidbatch.attempt a set remade_at = null, remade_price = null from back where a.id = back.attempt_id
     ), back_held as (
       update vidbatch.batch b set held = b.held + t.adds
         from (select batch_id, sum(adds) as adds from back group by batch_id) t
        where b.id = t.batch_id and b.held is not null and t.adds <> 0
     ), back_told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, detail)
       select batch_id, id, 'task-back', 'task ' || task_id || ' did not fail after all: it is not made again' from back
       union all
       select s.batch_id, s.id, 'task-kept', 'task ' || k.task_id || ' did not fail after all, but the row was edited since: '
              || 'the edited row is sent'
         from recorded k
         join vidbatch.attempt a on a.submission_id = k.submission_id and a.task_id = k.task_id and a.remade_at is not null
         join vidbatch.submission s on s.id = k.submission_id
        where k.lives and k.news is not null and s.state = 'pending' and s.content_hash <> a.content_hash
     )`;

/** Failed tasks of the batch that were made again or will be. */
export function countRemade(db: Queryable, batchId: number): Promise<number> {
  return readCount(
    db,
    `select count(*)::int as n from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
      where a.remade_at is not null and s.batch_id = $1`,
    [batchId],
  );
}
