import { usageError } from '../../core/errors.ts';
import type { Rhythm } from '../../core/time/cron.ts';
import type { Queryable } from '../../database/database.ts';

/** What a run does while an earlier run of its schedule is open. */
export const OVERLAPS = ['skip', 'queue', 'allow'] as const;
/** What happens to ticks that passed while no worker ran. */
export const MISSED = ['skip', 'once'] as const;

/** The flags with which `submit` imports the manifest at each tick. */
export interface RunFlags {
  format?: string;
  encoding?: string;
  delimiter?: string;
  map?: string[];
  /** A built-in name, or the absolute path of a file. */
  profile?: string;
  strict?: boolean;
  asWritten?: boolean;
  variants?: number;
  template?: boolean;
  skipLines?: number;
  sheet?: string;
  keepGoing?: boolean;
  window?: string;
  priority?: number;
  /** The absolute path of a price file. */
  prices?: string;
  /** For each run. */
  budget?: string;
  failShare?: number | null;
  canaryRows?: number | null;
}

export interface Schedule extends Rhythm {
  id: number;
  name: string;
  manifest: string;
  flags: RunFlags;
  overlap: (typeof OVERLAPS)[number];
  missed: (typeof MISSED)[number];
  /** The longest delay of a run after its tick, in milliseconds. */
  jitterMs: number;
  /** The first undecided tick. */
  nextAt: Date;
  /** When `nextAt` was written, by the ledger's clock. */
  decidedAt: Date;
  pausedAt: Date | null;
}

const COLUMNS = `id, name, cron, zone, manifest, flags::json as flags, overlap, missed, jitter_ms as "jitterMs",
  next_at as "nextAt", decided_at as "decidedAt", paused_at as "pausedAt"`;

/** In the order of their names. */
export async function listSchedules(db: Queryable): Promise<Schedule[]> {
  const { rows } = await db.query<Schedule>(`select ${COLUMNS} from vidbatch.schedule order by name`);
  return rows;
}

/** @throws VidbatchError exit 2 when there is one of that name. */
export async function addSchedule(
  db: Queryable,
  schedule: Omit<Schedule, 'id' | 'decidedAt' | 'pausedAt'>,
): Promise<Schedule> {
  const { rows } = await db.query<Schedule>(
    `insert into vidbatch.schedule (name, cron, zone, manifest, flags, overlap, missed, jitter_ms, next_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (name) do nothing
     returning ${COLUMNS}`,
    [
      schedule.name,
      schedule.cron,
      schedule.zone,
      schedule.manifest,
      JSON.stringify(schedule.flags),
      schedule.overlap,
      schedule.missed,
      schedule.jitterMs,
      schedule.nextAt,
    ],
  );
  if (rows[0] !== undefined) return rows[0];
  throw usageError(
    'SCHEDULE_EXISTS',
    `there is a schedule named ${schedule.name} already`,
    `\`vidbatch schedule show ${schedule.name}\` shows it, \`vidbatch schedule remove ${schedule.name}\` removes it.`,
  );
}

/** Until the end of the transaction, no other person asks for a run. */
export async function lockSchedule(session: Queryable, id: number): Promise<void> {
  await session.query('select from vidbatch.schedule where id = $1 for no key update', [id]);
}

export async function pauseSchedule(db: Queryable, id: number): Promise<void> {
  await db.query('update vidbatch.schedule set paused_at = coalesce(paused_at, now()) where id = $1', [id]);
}

/** Ticks during the pause are lost. */
export async function resumeSchedule(db: Queryable, id: number, nextAt: Date): Promise<void> {
  await db.query(
    `update vidbatch.schedule set paused_at = null, next_at = $2, decided_at = now()
      where id = $1 and paused_at is not null`,
    [id, nextAt],
  );
}

/** Removes the schedule and its runs. Their batches stay. */
export async function removeSchedule(db: Queryable, id: number): Promise<void> {
  await db.query('delete from vidbatch.schedule where id = $1', [id]);
}

/** Records that a worker on this machine looks after the schedules. Deletes old names, because containers change theirs. */
export async function recordTicker(db: Queryable, host: string): Promise<void> {
  await db.query(
    `with gone as (
       delete from vidbatch.ticker where seen_at < now() - interval '1 day' and host <> $1
     )
     insert into vidbatch.ticker (host) values ($1) on conflict (host) do update set seen_at = now()`,
    [host],
  );
}

/** Schedules with a tick to decide, each with the ledger's time `now`. */
export async function listTickingSchedules(db: Queryable): Promise<(Schedule & { now: Date })[]> {
  const { rows } = await db.query<Schedule & { now: Date }>(
    // In whole milliseconds, like ticks, so that decided_at says exactly which ticks are decided.
    `select ${COLUMNS}, date_trunc('milliseconds', now()) as now
       from vidbatch.schedule where paused_at is null and (next_at <= now() or decided_at > now())`,
  );
  return rows;
}

export interface Decided {
  tick: Date;
  batch: string;
  dueAt: Date;
  /** Why it is not run; null: it is run. */
  missed: string | null;
}

/**
 * Writes the runs of these ticks and moves the schedule on, in one statement. Only one worker decides: it does nothing if
 * another has moved the schedule since it was read. A tick that has a run already gets no second one, also after a clock was
 * set back. Returns the batches of the new runs.
 */
export async function decideTicks(
  db: Queryable,
  { id, nextAt }: Pick<Schedule, 'id' | 'nextAt'>,
  runs: readonly Decided[],
  next: Date,
): Promise<string[]> {
  const { rows } = await db.query<{ batch: string }>(
    `with moved as (
       update vidbatch.schedule set next_at = $3, decided_at = now()
        where id = $1 and next_at = $2 and paused_at is null
       returning id
     )
     insert into vidbatch.run (schedule_id, tick, batch, due_at, state, reason, ended_at)
     select m.id, d.tick, d.batch, d.due_at, case when d.missed is null then 'due' else 'missed' end, d.missed,
            case when d.missed is null then null else now() end
       from moved m
      cross join unnest($4::timestamptz[], $5::text[], $6::timestamptz[], $7::text[]) as d(tick, batch, due_at, missed)
     on conflict (schedule_id, tick) do nothing
     returning batch`,
    [
      id,
      nextAt,
      next,
      runs.map((run) => run.tick.toISOString()),
      runs.map((run) => run.batch),
      runs.map((run) => run.dueAt.toISOString()),
      runs.map((run) => run.missed),
    ],
  );
  return rows.map((row) => row.batch);
}
