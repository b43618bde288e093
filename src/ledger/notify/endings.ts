import type { Queryable } from '../../database/database.ts';

/*
 * A batch is done when none of its rows is pending or in flight. It may be done several times: rows are retried and added.
 * So a notice without a message waits from an attempt of the batch until the batch is done.
 */

/** The claim of an attempt may be committed this long after `claimed_at`. */
const OVERLAP = `interval '10 seconds'`;

/**
 * Makes a notice for each batch that has an attempt since the last look; it waits for the end of the batch. An attempt
 * that was claimed before the last notice of an end belongs to that end.
 */
export async function awaitEnds(db: Queryable, target: string): Promise<void> {
  await db.query(
    `insert into vidbatch.notice (target, event, subject)
     select $1, 'batch-done', worked.batch_id::text
       from (select s.batch_id, max(a.claimed_at) as at
               from vidbatch.attempt a
               join vidbatch.row_state s on s.id = a.submission_id
              where a.claimed_at > (select greatest(created_at, looked_at - ${OVERLAP}) from vidbatch.notify_target where id = $1)
                and not starts_with(a.worker, 'resolve by ')
              group by s.batch_id) worked
      where not exists (select from vidbatch.notice n
                         where n.target = $1 and n.event = 'batch-done' and n.subject = worked.batch_id::text
                           and n.ended_at >= worked.at)
     on conflict (target, event, subject) where ended_at is null do nothing`,
    [target],
  );
  await db.query('update vidbatch.notify_target set looked_at = greatest(looked_at, now()) where id = $1', [
    target,
  ]);
}

/** The end of a batch or of its videos, for which a notice was waiting. */
export interface Ending {
  notice: number;
  event: 'batch-done' | 'videos-done';
  batchId: number;
  batch: string;
  /** Some tasks of accepted rows have not ended. */
  tasksOpen: boolean;
  /** When it was seen. All attempts of the batch were claimed before. As text, because a `Date` would round it. */
  at: string;
}

/** Waiting notices whose batch is done, or whose videos are. */
export async function readEndings(db: Queryable, target: string): Promise<Ending[]> {
  const { rows } = await db.query<Ending>(
    `select n.id as notice, n.event, b.id as "batchId", b.name as batch, t.open as "tasksOpen",
            statement_timestamp()::text as at
       from vidbatch.notice n
       join vidbatch.batch b on b.id = n.subject::bigint
      cross join lateral (select exists (
              select from vidbatch.row_state s
               where s.batch_id = b.id and s.state = 'submitted'
                 and (s.provider_status is null or s.provider_status not in ('completed', 'failed', 'missing'))) as open) t
      where n.target = $1 and n.ended_at is null and n.message is null
        and not exists (select from vidbatch.row_state s where s.batch_id = b.id and s.state = 'pending')
        and not exists (select from vidbatch.row_state s where s.batch_id = b.id and s.state = 'submitting')
        and (n.event = 'batch-done' or not t.open)
      order by n.id`,
    [target],
  );
  return rows;
}

/** Gives a waiting notice its message, so that it is sent now. */
export async function fillNotice(
  db: Queryable,
  { notice, at }: Pick<Ending, 'notice' | 'at'>,
  message: string,
): Promise<void> {
  await db.query(
    `update vidbatch.notice set message = $2, began_at = $3, ended_at = $3, next_at = now() where id = $1`,
    [notice, message, at],
  );
}

/** Makes a notice that waits until all tasks of the batch have ended. */
export async function awaitVideos(db: Queryable, target: string, batchId: number): Promise<void> {
  await db.query(
    `insert into vidbatch.notice (target, event, subject) values ($1, 'videos-done', $2)
     on conflict (target, event, subject) where ended_at is null do nothing`,
    [target, String(batchId)],
  );
}
