import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { FAILED_TASK } from '../tasks/tasks.ts';

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
  /** Keys of some rows, the last that failed first. */
  examples: string[];
  /** What the last of them was told. */
  reason: string | null;
}

const EXAMPLES = 3;

/** Failures that happened since then, the largest groups first. Null: of all batches, of all times. */
export async function readFailures(
  db: Queryable,
  { batchId, since }: { batchId: number | null; since: Date | null },
): Promise<FailureGroup[]> {
  const chosen = (batch: string, at: string): string =>
    `($1::bigint is null or ${batch} = $1) and ($2::timestamptz is null or ${at} >= $2)`;
  const numbers = (id: string, at: string): string =>
    `count(*)::int as rows, (count(*) filter (where ${at} > now() - interval '1 hour'))::int as last_hour,
     min(${at}) as first, max(${at}) as last, (array_agg(${id} order by ${at} desc, ${id}))[1:${EXAMPLES}] as ids`;
  const { rows } = await db.query<FailureGroup>(
    `with failed as (
       select s.state as kind, s.batch_id, s.model, s.error_code as code, s.http_status, ${numbers('s.id', 's.updated_at')}
         from vidbatch.row_state s
        where s.state in ('rejected', 'exhausted', 'invalid') and ${chosen('s.batch_id', 's.updated_at')}
        group by s.batch_id, s.state, s.model, s.error_code, s.http_status
       union all
       select 'task', t.batch_id, t.model, t.failure, null, ${numbers('t.submission_id', 't.failed_at')}
         from vidbatch.task t
        where ${FAILED_TASK} and ${chosen('t.batch_id', 't.failed_at')}
        group by t.batch_id, t.model, t.failure
     )
     select f.kind, b.name as batch, f.model, f.code, f.http_status as "httpStatus", f.rows, f.last_hour as "lastHour",
            f.first, f.last, example.keys as examples, example.reason
       from failed f join vidbatch.batch b on b.id = f.batch_id
       cross join lateral (
         select array_agg(s.row_key order by i.place) as keys, left((array_agg(s.error order by i.place))[1], 500) as reason
           from unnest(f.ids) with ordinality i (id, place) join vidbatch.submission s on s.id = i.id
       ) example
      order by rows desc, last desc, batch, code`,
    [batchId, since],
  );
  return rows;
}
