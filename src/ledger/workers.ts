import type { Limit } from '../core/rate/rate-limits.ts';
import type { Queryable } from '../database/database.ts';
import { readOne } from './read/query.ts';

/** A worker as it describes itself. */
export interface WorkerFacts {
  /** New for each start. */
  id: string;
  host: string;
  pid: number;
  version: string;
  /** The provider that it calls. */
  origin: string;
  /** The ids of the only batches whose rows it sends; null: of all. */
  batches: readonly number[] | null;
  concurrency: number;
  limits: readonly Limit[];
}

/** What changes while it works. */
export interface WorkerPulse {
  inFlight: number;
  /** Rows since its start. */
  recorded: number;
  /** Rows recorded a second, since the pulse before. */
  perSecond: number;
  /** It takes no more rows. */
  draining: boolean;
}

/** A worker that was not seen for this time is dead, or cannot reach the ledger. */
export const ALIVE_MS = 20_000;

/** How often a worker stores that it is alive. A worker that misses three beats is silent: a person sees early that it may be dead. */
export const BEAT_MS = 1_000;
const SILENT_MS = 3_000;
/** Worker `w` is alive, as SQL, by the clock of the ledger. */
export const ALIVE = `w.seen_at > now() - ${ALIVE_MS} * interval '1 millisecond'`;
export const SILENT = `w.seen_at <= now() - ${SILENT_MS} * interval '1 millisecond'`;

/** No worker that is alive sends the rows of batch `b`, as SQL. */
export const UNFED = `not exists (select from vidbatch.worker w
                 where ${ALIVE} and (w.batches is null or b.id = any(w.batches))
                   -- The first worker of any provider may take a batch that has none.
                   and (b.origin is null or b.origin = w.origin))`;

/** Whether a worker that sends the rows of this batch is alive. */
export async function isFed(db: Queryable, batchId: number): Promise<boolean> {
  const { fed } = await readOne<{ fed: boolean }>(
    db,
    `select not exists (select from vidbatch.batch b where b.id = $1 and ${UNFED}) as fed`,
    [batchId],
  );
  return fed;
}

/** Stores that a worker is alive. Its first call makes the record, and forgets workers that died more than a day ago. */
export async function sayAlive(db: Queryable, worker: WorkerFacts, pulse: WorkerPulse): Promise<void> {
  await db.query(
    `with forgotten as (delete from vidbatch.worker where seen_at < now() - interval '1 day' and id <> $1)
     insert into vidbatch.worker as w (id, host, pid, version, origin, batches, concurrency, limits, in_flight, recorded, per_second, draining)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     on conflict (id) do update
        set seen_at = greatest(w.seen_at, now()), in_flight = excluded.in_flight, recorded = excluded.recorded,
            per_second = excluded.per_second, draining = excluded.draining`,
    [
      worker.id,
      worker.host,
      worker.pid,
      worker.version,
      worker.origin,
      worker.batches,
      worker.concurrency,
      JSON.stringify(worker.limits),
      pulse.inFlight,
      pulse.recorded,
      pulse.perSecond,
      pulse.draining,
    ],
  );
}

/**
 * Stores that no worker is alive. For a copy of a ledger: its workers are dead, or work on the original. For the holder of
 * an embedded folder at its start: no worker can be alive yet. A worker that starts later stores that it is alive.
 */
export async function forgetPulses(db: Queryable): Promise<void> {
  await db.query(
    `update vidbatch.worker set seen_at = least(seen_at, now() - $1 * interval '1 millisecond')`,
    [ALIVE_MS],
  );
}

/** Removes a worker that has ended. */
export async function forgetWorker(db: Queryable, id: string): Promise<void> {
  await db.query('delete from vidbatch.worker where id = $1', [id]);
}

/** A worker that is alive, or that died within the last day. */
export interface SeenWorker extends Omit<WorkerFacts, 'batches'>, WorkerPulse {
  /** Names of the only batches whose rows it sends; null: of all. */
  batches: string[] | null;
  startedAt: Date;
  seenAt: Date;
  /** By the clock of the ledger. */
  alive: boolean;
  /** It has missed three beats or more. */
  silent: boolean;
}

/** Workers that are alive come first; among these, the one that started first. */
export async function readWorkers(db: Queryable): Promise<SeenWorker[]> {
  const { rows } = await db.query<SeenWorker>(
    `select w.id, w.host, w.pid, w.version, w.origin, w.concurrency, w.limits, w.in_flight as "inFlight",
            w.recorded::float8 as recorded, w.per_second as "perSecond", w.draining, w.started_at as "startedAt",
            w.seen_at as "seenAt", ${ALIVE} as alive, ${SILENT} as silent,
            case when w.batches is not null then array(
              select b.name from vidbatch.batch b where b.id = any(w.batches) order by b.id) end as batches
       from vidbatch.worker w
      order by alive desc, w.started_at, w.id`,
  );
  return rows;
}
