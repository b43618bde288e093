/**
 * The room `schedule` turns cron expressions and time zones into batches.
 * It may import worker, results, batch, manifest, provider, ledger, database and core.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { App } from '../worker/app.ts';
import type { Config } from '../core/config.ts';
import { isOutage } from '../database/connection-lost.ts';
import { dueTicks, firstAfter } from './due.ts';
import { messageOf } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { takeRun } from '../ledger/run.ts';
import type { TakenRun } from '../ledger/run.ts';
import { decideTicks, keepTicker, listSchedules, ticking } from '../ledger/schedule.ts';
import type { Schedule } from '../ledger/schedule.ts';
import type { Logger } from '../core/log.ts';
import { openMirror } from './mirror.ts';
import { makeRun } from './run.ts';
import type { RunResult } from './run.ts';

const LOOK_MS = 1_000;
const SEEN_MS = 5_000;

export interface SchedulesOptions {
  config: Pick<Config, 'baseUrl' | 'models'>;
  log: Logger;
  /** This machine's name. */
  host?: string;
}

export interface Schedules {
  /** Takes no more runs; gives back the one that it is making, unless that is done by then. */
  stop(): Promise<void>;
}

/** Who takes runs: of this process alone, so that a lease is nobody else's. */
export function takerOf(host: string): string {
  return `${host}-${process.pid}-${randomUUID().slice(0, 8)}`;
}

/**
 * Looks after the schedules, in every worker, by the ledger alone: every second, ticks that are due become runs, and
 * runs that are due become batches. Both are compare-and-set there, so that any number of workers make one of each.
 */
export function startSchedules(
  app: Pick<App, 'db' | 'store' | 'ledgerId'>,
  { config, log, host = hostname() }: SchedulesOptions,
): Schedules {
  const { db } = app;
  const worker = takerOf(host);
  const stopping = new AbortController();
  const { signal } = stopping;
  const mirror = openMirror(app, log);
  let seenAt = -Infinity;
  let making: Promise<void> | undefined;
  let wake: (() => void) | undefined;

  async function look(): Promise<void> {
    if (performance.now() - seenAt > SEEN_MS) {
      await keepTicker(db, host);
      void mirror.show(await listSchedules(db));
      seenAt = performance.now();
    }
    const decided = await decideAll(db, log);
    if (decided) void mirror.show(await listSchedules(db));
    // Beside the look: while a large manifest is read, the ticks of other schedules are not missed.
    making ??= makeAll()
      .catch((error: unknown) => tell(error, log))
      .finally(() => (making = undefined));
  }

  async function makeAll(): Promise<void> {
    while (!signal.aborted) {
      const run = await takeRun(db, { worker, host });
      if (run === undefined) return;
      tellRun(run, await makeRun(db, run, { config, host, signal }), log);
    }
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await look().catch((error: unknown) => tell(error, log));
      if (signal.aborted) break;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await making;
  }

  const done = loop();
  return {
    async stop() {
      stopping.abort();
      wake?.();
      await done;
      await mirror.close();
    },
  };
}

/** Every tick that is due becomes a run, or is missed. Returns whether there were any. */
export async function decideAll(db: Database, log: Logger): Promise<boolean> {
  const { now, schedules } = await ticking(db);
  for (const schedule of schedules) {
    try {
      await decide(db, schedule, now, log);
    } catch (error) {
      if (isOutage(error)) throw error;
      // A zone that this machine does not know, for example: another worker may.
      log.warn(
        { event: 'schedule-unknown', schedule: schedule.name, error: messageOf(error) },
        'a schedule cannot be read',
      );
    }
  }
  return schedules.length > 0;
}

async function decide(db: Database, schedule: Schedule, now: Date, log: Logger): Promise<void> {
  if (schedule.nextAt > now) {
    // Decided in a future that is none any more. Ticks that have their run keep it.
    const next = firstAfter(schedule, now.getTime());
    await decideTicks(db, schedule, [], next < schedule.nextAt ? next : schedule.nextAt);
    return;
  }
  const { runs, next } = dueTicks({ ...schedule, nextAt: schedule.nextAt.getTime() }, now.getTime());
  const made = new Set(await decideTicks(db, schedule, runs, new Date(next)));
  for (const { batch, missed } of runs) {
    if (missed === null || !made.has(batch)) continue;
    log.warn({ event: 'ticks-missed', schedule: schedule.name, reason: missed }, 'ticks were missed');
  }
}

function tell(error: unknown, log: Logger): void {
  // An outage is told once, by the connection itself.
  log[isOutage(error) ? 'debug' : 'warn'](
    { event: 'schedules-away', error: messageOf(error) },
    'the schedules failed; trying again',
  );
}

function tellRun(run: TakenRun, result: RunResult, log: Logger): void {
  const told = { event: `run-${result.kind}`, schedule: run.schedule.name, batch: run.batch };
  switch (result.kind) {
    case 'made':
      log.info({ ...told, rows: result.produced.rows, added: result.produced.added }, 'a run was made');
      break;
    case 'failed':
      log.error({ ...told, code: result.code, reason: result.reason }, 'a run failed; nothing of it is sent');
      break;
    case 'skipped':
    case 'missed':
      log.warn({ ...told, reason: result.reason }, `a run was ${result.kind}`);
      break;
    case 'left':
      log.info(told, 'the manifest is not on this machine: left to another worker');
      break;
    case 'given-back':
    case 'lost':
      log.debug(told, 'a run is not ours');
  }
}
