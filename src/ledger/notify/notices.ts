import type { Queryable } from '../../database/database.ts';

/** What is told. Several may last at the same time; a lasting event is told once. */
export type NoticeEvent =
  | 'batch-done'
  | 'videos-done'
  | 'rows-uncertain'
  | 'provider-halted'
  | 'batch-stopped'
  | 'budget-used-up'
  | 'schedule-failed'
  | 'no-worker';

/** After this time, a notice whose event has ended is deleted. */
const KEPT = `interval '30 days'`;

/** A person may have been away for a weekend. */
const UNTOLD_FOR = `interval '3 days'`;

/** Notices that were given up lately. A later notice that reached its target shows that the target works again. */
export const UNTOLD = `(
  select n.* from vidbatch.notice n
   where n.given_up_at > now() - ${UNTOLD_FOR}
     and not exists (select from vidbatch.notice later where later.target = n.target and later.told_at > n.given_up_at))`;

/** Registers a target. It gets notices of events from its first registration on. `place`: for people, without the URL. */
export async function registerTarget(db: Queryable, target: string, place: string): Promise<void> {
  await db.query(
    `with old as (delete from vidbatch.notice where target = $1 and ended_at < now() - ${KEPT} and next_at is null)
     insert into vidbatch.notify_target (id, place) values ($1, $2) on conflict do nothing`,
    [target, place],
  );
}

/**
 * Locks the target until the end of the transaction, so that one process at a time looks for news. False: another process
 * looks.
 */
export async function lockTarget(db: Queryable, target: string): Promise<boolean> {
  const { rows } = await db.query('select from vidbatch.notify_target where id = $1 for update skip locked', [
    target,
  ]);
  return rows.length > 0;
}

/** A notice that lasts, or that waits for its event. */
export interface Lasting {
  id: number;
  event: NoticeEvent;
  subject: string;
}

export async function readLasting(db: Queryable, target: string): Promise<Lasting[]> {
  const { rows } = await db.query<Lasting>(
    `select id, event, subject from vidbatch.notice
      where target = $1 and ended_at is null and message is not null order by id`,
    [target],
  );
  return rows;
}

/** `endedAt`: the event is over at this moment; null: it lasts. */
export async function addNotice(
  db: Queryable,
  target: string,
  { event, subject, message }: Omit<Lasting, 'id'> & { message: string },
  endedAt: string | null = null,
): Promise<void> {
  await db.query(
    `insert into vidbatch.notice (target, event, subject, message, next_at, ended_at)
     values ($1, $2, $3, $4, now(), $5)
     on conflict (target, event, subject) where ended_at is null do nothing`,
    [target, event, subject, message, endedAt],
  );
}

export async function endNotices(db: Queryable, ids: readonly number[]): Promise<void> {
  await db.query('update vidbatch.notice set ended_at = now() where id = any($1::bigint[])', [ids]);
}

/** A notice to send. */
export interface DueNotice {
  id: number;
  at: Date;
  /** JSON text. */
  message: string;
  /** Tries before this one. */
  tries: number;
}

/**
 * Takes the oldest notice that is due; no other process takes it before `leaseMs` are over. If this process dies, the
 * notice is due again then, and may be told twice.
 */
export async function takeNotice(
  db: Queryable,
  target: string,
  leaseMs: number,
): Promise<DueNotice | undefined> {
  const { rows } = await db.query<DueNotice>(
    `update vidbatch.notice n
        set next_at = now() + $2 * interval '1 millisecond', tries = n.tries + 1
       from (select id from vidbatch.notice where target = $1 and next_at <= now()
              order by id limit 1 for update skip locked) due
      where n.id = due.id
     returning n.id, n.began_at as at, n.message, n.tries - 1 as tries`,
    [target, leaseMs],
  );
  return rows[0];
}

export async function recordTold(db: Queryable, id: number): Promise<void> {
  await db.query('update vidbatch.notice set told_at = now(), next_at = null where id = $1', [id]);
}

/** The try has failed. `retryMs`: the time until the next one; null: it was the last try, and the notice is given up. */
export async function recordUntold(
  db: Queryable,
  id: number,
  { failure, retryMs }: { failure: string; retryMs: number | null },
): Promise<void> {
  await db.query(
    `update vidbatch.notice
        set failure = $3, next_at = now() + $2::float8 * interval '1 millisecond',
            given_up_at = case when $2::float8 is null then now() end
      where id = $1 and told_at is null`,
    [id, retryMs, failure],
  );
}
