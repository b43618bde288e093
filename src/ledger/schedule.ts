import { usageError } from '../core/errors.ts';
import type { Rhythm } from '../core/time/tick.ts';
import type { Queryable } from '../database/database.ts';

/** What a run does while an earlier one of its schedule is still open. */
export const OVERLAPS = ['skip', 'queue', 'allow'] as const;
/** What becomes of ticks while no worker was up. */
export const MISSED = ['skip', 'once'] as const;

/** How a schedule's manifest is read and brought in, each time: as `submit` was told by these flags. */
export interface RunFlags {
  format?: string;
  encoding?: string;
  delimiter?: string;
  map?: string[];
  strict?: boolean;
  asWritten?: boolean;
  skipLines?: number;
  keepGoing?: boolean;
  window?: string;
  priority?: number;
  /** Absolute path of a price file. */
  prices?: string;
  /** Of each run. */
  budget?: string;
  failShare?: number | null;
  canaryRows?: number | null;
}

export interface Schedule extends Rhythm {
  id: number;
  name: string;
  /** Absolute path of the manifest. */
  manifest: string;
  flags: RunFlags;
  overlap: (typeof OVERLAPS)[number];
  missed: (typeof MISSED)[number];
  /** A run begins up to so many milliseconds after its tick. */
  jitterMs: number;
  /** The first tick that is not decided. */
  nextAt: Date;
  /** When that was written, by the ledger's clock. */
  decidedAt: Date;
  pausedAt: Date | null;
}

interface ScheduleRow {
  id: number;
  name: string;
  cron: string;
  zone: string;
  manifest: string;
  flags: string;
  overlap: Schedule['overlap'];
  missed: Schedule['missed'];
  jitter_ms: number;
  next_at: Date;
  decided_at: Date;
  paused_at: Date | null;
}

const COLUMNS =
  'id, name, cron, zone, manifest, flags, overlap, missed, jitter_ms, next_at, decided_at, paused_at';

function toSchedule(row: ScheduleRow): Schedule {
  return {
    id: row.id,
    name: row.name,
    cron: row.cron,
    zone: row.zone,
    manifest: row.manifest,
    flags: JSON.parse(row.flags) as RunFlags,
    overlap: row.overlap,
    missed: row.missed,
    jitterMs: row.jitter_ms,
    nextAt: row.next_at,
    decidedAt: row.decided_at,
    pausedAt: row.paused_at,
  };
}

/** In the order of their names. */
export async function listSchedules(db: Queryable): Promise<Schedule[]> {
  const { rows } = await db.query<ScheduleRow>(`select ${COLUMNS} from vidbatch.schedule order by name`);
  return rows.map(toSchedule);
}

/** @throws VidbatchError exit 2 when there is one of that name. */
export async function addSchedule(
  db: Queryable,
  schedule: Omit<Schedule, 'id' | 'decidedAt' | 'pausedAt'>,
): Promise<Schedule> {
  const { rows } = await db.query<ScheduleRow>(
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
  if (rows[0] !== undefined) return toSchedule(rows[0]);
  throw usageError(
    'SCHEDULE_EXISTS',
    `there is a schedule named ${schedule.name} already`,
    `\`vidbatch schedule show ${schedule.name}\` shows it, \`vidbatch schedule remove ${schedule.name}\` removes it.`,
  );
}

/** No ticks, until it is resumed. */
export async function pauseSchedule(db: Queryable, id: number): Promise<void> {
  await db.query('update vidbatch.schedule set paused_at = coalesce(paused_at, now()) where id = $1', [id]);
}

/** Goes on with the ticks that come; those of the pause are none. */
export async function resumeSchedule(db: Queryable, id: number, nextAt: Date): Promise<void> {
  await db.query(
    `update vidbatch.schedule set paused_at = null, next_at = $2, decided_at = now()
      where id = $1 and paused_at is not null`,
    [id, nextAt],
  );
}

/** With its runs; their batches stay. */
export async function removeSchedule(db: Queryable, id: number): Promise<void> {
  await db.query('delete from vidbatch.schedule where id = $1', [id]);
}

/** A worker on this machine looks after the schedules. Names of containers come and go: those of yesterday go. */
export async function keepTicker(db: Queryable, host: string): Promise<void> {
  await db.query(
    `with gone as (
       delete from vidbatch.ticker where seen_at < now() - interval '1 day' and host <> $1
     )
     insert into vidbatch.ticker (host) values ($1) on conflict (host) do update set seen_at = now()`,
    [host],
  );
}

/** Schedules that tick, and the ledger's time. */
export async function ticking(db: Queryable): Promise<{ now: Date; schedules: Schedule[] }> {
  const { rows } = await db.query<ScheduleRow & { now: Date }>(
    // Whole milliseconds, as ticks are: what was decided up to now was decided up to this.
    `select ${COLUMNS}, date_trunc('milliseconds', now()) as now
       from vidbatch.schedule where paused_at is null and (next_at <= now() or decided_at > now())`,
  );
  return { now: rows[0]?.now ?? new Date(0), schedules: rows.map(toSchedule) };
}

export interface Decided {
  tick: Date;
  batch: string;
  dueAt: Date;
  /** Not to be run: why. */
  missed: string | null;
}

/**
 * Puts the runs of these ticks into the ledger and moves on, in one statement, if the schedule still stands where it was
 * read: of several workers, one decides. A tick that has its run, as after a clock was set back, gets no other. Returns
 * the batches of new runs.
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
