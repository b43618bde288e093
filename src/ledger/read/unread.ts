import type { Queryable } from '../../database/database.ts';

/** What the profile of a batch does not find in an answer of the provider. */
export interface Unread {
  what: 'task-id' | 'task' | 'status' | 'video';
  /**
   * The status of a task in the provider's words; empty: the answer has none where the profile looks. Of an answer without a
   * task id, its code.
   */
  word: string | null;
  /** The answer; of a task that is not found, what was wrong with it. */
  body: string;
}

/**
 * One answer of each kind in which something was not found. The tasks and attempts hold it, so it is told until an answer is
 * read.
 */
export async function readUnread(db: Queryable, batchId: number): Promise<Unread[]> {
  const { rows } = await db.query<Unread>(
    `(select 'task-id' as what, nullif(a.error_code, 'NO_TASK_ID') as word, a.body
        from vidbatch.row_state s join vidbatch.attempt a on a.id = s.attempt_id
       where s.batch_id = $1 and s.state = 'uncertain' and a.outcome = 'uncertain'
         and a.http_status between 200 and 299 and a.body <> '' order by s.id limit 1)
     union all
     (select 'task', null, t.problem from vidbatch.task t
       where t.batch_id = $1 and t.answered_at is null and t.failures > 0 and t.problem like 'HTTP 2%'
       order by t.submission_id limit 1)
     union all
     (select 'status', t.raw_status, t.body from vidbatch.task t
       where t.batch_id = $1 and t.status = 'unknown' and t.body is not null order by t.submission_id limit 1)
     union all
     (select 'video', null, t.body from vidbatch.task t
       where t.batch_id = $1 and t.status = 'completed' and t.result_url is null and t.body is not null
       order by t.submission_id limit 1)`,
    [batchId],
  );
  return rows;
}
