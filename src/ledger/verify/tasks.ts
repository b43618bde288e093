import type { Queryable } from '../../database/database.ts';
import { IN_SLICE } from './invariant.ts';
import type { Slice } from './look.ts';

/** A task id that the ledger has, also one beside the row's own. */
export interface KnownTask {
  taskId: string;
  batch: string;
  key: string;
  /** Of a surplus one, or one that was made again. */
  attempt: string | null;
  status: string | null;
  /** Accepted a few minutes ago: its provider may not know it yet. */
  fresh: boolean;
}

/** Every task id among the submissions of a slice that belongs to this provider. */
export async function tasksOf(
  db: Queryable,
  origin: string,
  { after, last }: Pick<Slice, 'after' | 'last'>,
  batchId: number | null,
): Promise<KnownTask[]> {
  const { rows } = await db.query<Omit<KnownTask, 'taskId'> & { task_id: string }>(
    `select t.task_id, b.name as batch, s.row_key as key, t.attempt, t.status,
            coalesce(t.accepted_at, '-infinity') > now() - interval '10 minutes' as fresh
       from vidbatch.submission s
       join vidbatch.batch b on b.id = s.batch_id
      cross join lateral (
        select s.task_id, null::uuid as attempt, s.provider_status as status, s.submitted_at as accepted_at,
               coalesce((select a.origin from vidbatch.attempt a
                          where a.submission_id = s.id and a.task_id = s.task_id limit 1), b.origin) as origin
         where s.task_id is not null
        union all
        select a.task_id, a.id, k.status, a.finished_at, a.origin
          from vidbatch.attempt a
          left join vidbatch.task k on k.submission_id = a.submission_id and k.task_id = a.task_id
         where a.submission_id = s.id and (a.surplus or a.remade_at is not null)
      ) t
      where ${IN_SLICE} and t.origin = $4
      order by s.id`,
    [after, last, batchId, origin],
  );
  return rows.map(({ task_id: taskId, ...row }) => ({ taskId, ...row }));
}
