import type { Queryable } from '../../database/database.ts';

/** The event of a row whose task id another row had before. */
const SHARED = 'task-shared';

/** Writes to the event log that the provider gave a row the task id of another row. */
export async function noteSharedTask(
  db: Queryable,
  taskId: string,
  { row, other }: { row: number; other: number },
): Promise<void> {
  await db.query(
    `insert into vidbatch.event_log (batch_id, submission_id, event, detail)
     select r.batch_id, r.id, '${SHARED}', 'task ' || $1 || ' is also that of ' || o.row_key || ' of batch ' || b.name
       from vidbatch.row r, vidbatch.row o join vidbatch.batch b on b.id = o.batch_id
      where r.id = $2 and o.id = $3`,
    [taskId, row, other],
  );
}

/** Rows that still have the task id of another row, as SQL: `batch_id` and `submission_id`. The index `event_log_shared` has them. */
export const SHARED_TASKS = `(
  select distinct s.batch_id, s.id as submission_id
    from vidbatch.event_log e join vidbatch.row_state s on s.id = e.submission_id
   where e.event = '${SHARED}' and starts_with(e.detail, 'task ' || s.task_id || ' '))`;
