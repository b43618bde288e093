import { createHash } from 'node:crypto';
import type { Decided, Schedule } from '../ledger/schedules/schedules.ts';
import { lastTick, nextTick, ticksAfter } from '../core/time/cron.ts';
import { offsetAt, wallClock } from '../core/time/zone.ts';

/** A tick is missed when no worker has seen it for this long. A shorter absence, as for an upgrade, misses nothing. */
export const LATE_MS = 5 * 60_000;

/**
 * Decides the ticks from the first undecided one up to now, and finds the next one. Ticks of the last minutes are run.
 * Of earlier ticks none is run, or with `once` the last one, if no other tick is run: one run replaces all of them.
 */
export function dueTicks(
  schedule: Pick<Schedule, 'name' | 'cron' | 'zone' | 'missed' | 'jitterMs'> & { nextAt: number },
  now: number,
): { runs: Decided[]; next: number } {
  const { nextAt } = schedule;
  const late = now - LATE_MS;
  const run: number[] = [];
  let next: number | undefined;
  for (const tick of ticksAfter(schedule, Math.max(nextAt - 1, late))) {
    if (tick > now) {
      next = tick;
      break;
    }
    run.push(tick);
  }
  // The ledger's next tick counts, even if this machine has other zone data.
  if (next === undefined) throw new Error(`schedule ${schedule.name} never ticks again: ${schedule.cron}`);
  const lastMissed = nextAt > late ? undefined : (lastTick(schedule, nextAt - 1, late) ?? nextAt);
  const made = lastMissed !== undefined && schedule.missed === 'once' && run.length === 0;
  const runs = (made ? [lastMissed] : run).map((tick) => decided(schedule, tick));
  if (lastMissed !== undefined && !(made && lastMissed === nextAt)) {
    runs.unshift({ ...decided(schedule, nextAt), missed: missedFrom(schedule, nextAt, lastMissed, made) });
  }
  return { runs, next };
}

function decided(schedule: Pick<Schedule, 'name' | 'zone' | 'jitterMs'>, tick: number): Decided {
  return {
    tick: new Date(tick),
    batch: runName(schedule, tick),
    dueAt: new Date(tick + jitterOf(schedule, tick)),
    missed: null,
  };
}

function missedFrom({ zone }: Pick<Schedule, 'zone'>, first: number, last: number, made: boolean): string {
  const until = made
    ? `up to the one of ${wallTime(zone, last)}, which is run for all of them`
    : `to ${wallTime(zone, last)}`;
  const which =
    first === last ? `the tick of ${wallTime(zone, first)}` : `ticks from ${wallTime(zone, first)} ${until}`;
  return `no worker was running: ${which}`;
}

/** The same for all workers, because it follows from the tick. */
export function jitterOf({ name, jitterMs }: Pick<Schedule, 'name' | 'jitterMs'>, tick: number): number {
  const share = createHash('sha256').update(`${name} ${tick}`).digest().readUIntBE(0, 6) / 2 ** 48;
  return Math.floor(share * jitterMs);
}

/** `nightly@20261122T230000+0800`: the local time, and how far it is ahead of UTC. */
export function runName({ name, zone }: Pick<Schedule, 'name' | 'zone'>, at: number): string {
  const time = new Date(wallClock(zone, at)).toISOString().replaceAll(/[-:]|Z$|\.000Z$/g, '');
  return `${name}@${time}${offsetOf(zone, at).replace(':', '')}`;
}

/** `2026-11-22 23:00:00 +08:00` */
export function wallTime(zone: string, at: number): string {
  return `${new Date(wallClock(zone, at)).toISOString().slice(0, 19).replace('T', ' ')} ${offsetOf(zone, at)}`;
}

function offsetOf(zone: string, at: number): string {
  const minutes = Math.round(offsetAt(zone, at) / 60_000);
  const two = (n: number): string => String(n).padStart(2, '0');
  const ahead = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
}

/** The first tick after now. */
export function firstAfter(schedule: Pick<Schedule, 'name' | 'cron' | 'zone'>, now: number): Date {
  const next = nextTick(schedule, now);
  if (next === undefined) throw new Error(`schedule ${schedule.name} never ticks again: ${schedule.cron}`);
  return new Date(next);
}
