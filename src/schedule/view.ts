import { wallTime } from './due.ts';
import { countStates } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { isFailing, findLastRun, type Run } from '../ledger/schedules/runs.ts';
import type { Schedule } from '../ledger/schedules/schedules.ts';
import { ledgerNow } from '../ledger/send/window.ts';
import type { Counts } from '../core/states.ts';
import { nextTicks } from '../core/time/cron.ts';

/** A schedule as people and scripts see it. */
export interface SeenSchedule extends Omit<Schedule, 'id' | 'nextAt' | 'decidedAt' | 'pausedAt'> {
  paused: boolean;
  /** The next ticks, RFC 3339 with the zone's offset; none while it is paused. */
  next: string[];
  /** The newest run that is over. */
  last: SeenRun | null;
  /** The latest run, apart from skipped and missed ticks, could not make its batch. */
  failing: boolean;
}

export interface SeenRun {
  batch: string;
  /** RFC 3339 with the zone's offset. */
  tick: string;
  triggered: boolean;
  state: Run['state'];
  /** Why there is no batch. */
  code: string | null;
  reason: string | null;
  /** The rows of the batch, by state. */
  counts: Counts | null;
}

const TICKS_AHEAD = 5;

export async function seenSchedule(db: Queryable, schedule: Schedule): Promise<SeenSchedule> {
  const last = await findLastRun(db, schedule.id);
  const paused = schedule.pausedAt !== null;
  const ticks = paused ? [] : nextTicks(schedule, await ledgerNow(db), TICKS_AHEAD);
  return {
    name: schedule.name,
    cron: schedule.cron,
    zone: schedule.zone,
    manifest: schedule.manifest,
    flags: schedule.flags,
    overlap: schedule.overlap,
    missed: schedule.missed,
    jitterMs: schedule.jitterMs,
    paused,
    next: ticks.map((tick) => rfc3339(schedule.zone, tick)),
    last: last === undefined ? null : await seenRun(db, schedule.zone, last),
    failing: await isFailing(db, schedule.id),
  };
}

export async function seenRun(db: Queryable, zone: string, run: Run): Promise<SeenRun> {
  return {
    batch: run.batch,
    tick: rfc3339(zone, run.tick.getTime()),
    triggered: run.triggered,
    state: run.state,
    code: run.code,
    reason: run.reason,
    counts: run.batchId === null ? null : await countStates(db, run.batchId),
  };
}

function rfc3339(zone: string, at: number): string {
  return wallTime(zone, at).replace(' ', 'T').replace(' ', '');
}
