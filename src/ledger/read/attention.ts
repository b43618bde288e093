import type { Queryable } from '../../database/database.ts';
import { SHARED_TASKS } from '../tasks/shared-task.ts';
import { DYING, FAILED_TASK } from '../tasks/tasks.ts';
import { ALIVE, SILENT } from '../workers.ts';
import { listOf, readOne } from './query.ts';
import { COUNTED_TROUBLE, type CountedTrouble } from './trouble.ts';

/** What needs a person, with what it costs and what will need one soon. */
export interface AttentionFacts extends CountedTrouble {
  /** Rows that have the task id of another row, by batch. */
  sharedTasks: { batch: string; rows: number }[];
  /** The most that uncertain rows may have cost, one amount for each currency. */
  uncertainCost: { amount: string; currency: string }[];
  /** Uncertain rows whose price is not known. */
  uncertainUnpriced: number;
  oldestUncertain: Date | null;
  /** When a worker was last seen; null: none is known. */
  lastWorker: Date | null;
  /** A worker is alive. It may send other batches. */
  someAlive: boolean;
  /** Workers that give no sign of life and did not end as they should, unless another one has started on their host. */
  silent: { host: string; pid: number; seenAt: string }[];
  /** Tasks that failed lately and were not made again, by batch. */
  failedTasks: { batch: string; tasks: number }[];
  /** Videos that are not downloaded, and whose URLs expire soon, by batch. */
  dying: { batch: string; videos: number; firstAt: string }[];
}

/** A task that failed earlier is no news. `failures` lists all. */
export const NEWS = { sql: `interval '1 day'`, words: 'the last day' } as const;
/** `status` reports a dead worker for this long, unless a new worker starts on its host. */
const MISSED = `interval '1 hour'`;

/** In one statement: several would read several moments. */
export function readAttentionFacts(db: Queryable): Promise<AttentionFacts> {
  return readOne<AttentionFacts>(
    db,
    `with uncertain as (
       select s.updated_at, s.price, s.currency from vidbatch.row_state s where s.state = 'uncertain'
     )
     select ${COUNTED_TROUBLE},
            ${listOf(
              `select b.name as batch, count(*)::int as rows
                 from ${SHARED_TASKS} t join vidbatch.batch b on b.id = t.batch_id
                group by b.name`,
              'batch',
            )} as "sharedTasks",
            ${listOf(
              `select trim_scale(sum(u.price))::text as amount, u.currency from uncertain u
                where u.price is not null group by u.currency`,
              'currency',
            )} as "uncertainCost",
            (select count(*) from uncertain where price is null)::int as "uncertainUnpriced",
            (select min(updated_at) from uncertain) as "oldestUncertain",
            (select max(seen_at) from vidbatch.worker) as "lastWorker",
            exists (select from vidbatch.worker w where ${ALIVE}) as "someAlive",
            ${listOf(
              `select w.host, w.pid, w.seen_at as "seenAt" from vidbatch.worker w
                where ${SILENT} and w.seen_at >= now() - ${MISSED}
                  and not exists (select from vidbatch.worker n where n.id <> w.id and n.host = w.host and n.started_at > w.seen_at)`,
              '"seenAt"',
            )} as silent,
            ${listOf(
              `select b.name as batch, count(*)::int as tasks
                 from vidbatch.task t join vidbatch.batch b on b.id = t.batch_id
                where ${FAILED_TASK} and t.failed_at > now() - ${NEWS.sql}
                group by b.name`,
              'tasks desc, batch',
            )} as "failedTasks",
            ${listOf(
              `select b.name as batch, count(*)::int as videos, min(t.url_expires_at) as "firstAt"
                 from ${DYING} t join vidbatch.batch b on b.id = t.batch_id
                group by b.name`,
              '"firstAt", batch',
            )} as dying`,
  );
}
