import type { Queryable } from '../../database/database.ts';

/** A feeder that was not seen for this time is dead. */
const LIFETIME = `interval '30 seconds'`;

/** Stores that this queue is being fed. `seen_at` never goes back: so `followClock` sees that the clock was set back. */
export async function keepFeeder(db: Queryable, queue: string): Promise<void> {
  await db.query(
    `insert into vidbatch.feeder (queue) values ($1)
     on conflict (queue) do update set seen_at = greatest(feeder.seen_at, excluded.seen_at)`,
    [queue],
  );
}

/** This queue is no longer fed. */
export async function leaveFeeder(db: Queryable, queue: string): Promise<void> {
  await db.query('delete from vidbatch.feeder where queue = $1', [queue]);
  await rememberClock(db);
}

/** Forgets the feeder of a queue, unless another process feeds the queue meanwhile. */
export async function forgetFeeder(db: Queryable, queue: string): Promise<void> {
  await db.query(`delete from vidbatch.feeder where queue = $1 and seen_at <= now() - ${LIFETIME}`, [queue]);
}

/** Forgets all feeders. Only for the holder of an embedded folder at its start, when no other feeder can be alive. */
export async function forgetFeeders(db: Queryable): Promise<void> {
  await db.query('delete from vidbatch.feeder');
  await rememberClock(db);
}

/** Keeps the feeder of the shared queue as a dead one, because the clock may be set back while no feeder lives. */
async function rememberClock(db: Queryable): Promise<void> {
  await db.query(
    `insert into vidbatch.feeder (queue, seen_at)
     select 'vidbatch-' || ledger_id, now() - ${LIFETIME} from vidbatch.meta
     on conflict (queue) do update set seen_at = greatest(feeder.seen_at, excluded.seen_at)`,
  );
}

/** All known queues: the shared one, and one for each `run` that has not ended. */
export async function listFeeders(db: Queryable): Promise<{ queue: string; alive: boolean }[]> {
  const { rows } = await db.query<{ queue: string; alive: boolean }>(
    `select queue, seen_at > now() - ${LIFETIME} as alive from vidbatch.feeder order by queue`,
  );
  return rows;
}
