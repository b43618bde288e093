import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { TASK_FAILED } from '../tasks/tasks.ts';

/** Rows that failed in the same way, or rows whose tasks did. */
export interface FailureGroup {
  /** `task`: the provider accepted the row and then failed to make its video. */
  kind: Extract<State, 'rejected' | 'exhausted' | 'invalid'> | 'task';
  batch: string;
  model: string | null;
  /** The code of the answer, or vidbatch's own code. For a failed task: the first words of its reason. */
  code: string | null;
  httpStatus: number | null;
  rows: number;
  /** How many of these failed within the last hour. */
  lastHour: number;
  first: Date;
  last: Date;
  /** Keys of up to three rows, the last that failed first. */
  examples: string[];
  /** What the last of them was told. */
  reason: string | null;
}

/** The reason of a task may end in an id. Its first characters name the kind of failure. */
const REASON = 80;

/** Failures that happened since then, the largest groups first. Null: of all batches, of all times. */
export async function readFailures(
  db: Queryable,
  { batchId, since }: { batchId: number | null; since: Date | null },
): Promise<FailureGroup[]> {
  const { rows } = await db.query<FailureGroup>(
    `with failed as (
       select s.batch_id, s.row_key, s.model, s.http_status, s.error,
              case when s.state = 'submitted' then 'task' else s.state end as kind,
              case when s.state = 'submitted' then left(s.error, ${REASON}) else s.error_code end as code,
              coalesce(t.finished_at, t.answered_at, s.updated_at) as at
         from vidbatch.submission s
         left join vidbatch.task t
           on t.submission_id = s.id and t.task_id = s.task_id and s.state = 'submitted'
        where (s.state in ('rejected', 'exhausted', 'invalid') or ${TASK_FAILED})
          and ($1::bigint is null or s.batch_id = $1)
     )
     select f.kind, b.name as batch, f.model, f.code, case f.kind when 'task' then null else f.http_status end as "httpStatus",
            count(*)::int as rows, (count(*) filter (where f.at > now() - interval '1 hour'))::int as "lastHour",
            min(f.at) as first, max(f.at) as last,
            (array_agg(f.row_key order by f.at desc, f.row_key))[1:3] as examples,
            (array_agg(left(f.error, 500) order by f.at desc, f.row_key))[1] as reason
       from failed f join vidbatch.batch b on b.id = f.batch_id
      where $2::timestamptz is null or f.at >= $2
      group by 1, 2, 3, 4, 5
      order by rows desc, last desc, batch, code`,
    [batchId, since],
  );
  return rows;
}
