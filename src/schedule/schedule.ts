/**
 * The room `schedule` turns cron expressions and time zones into batches.
 * It may import worker, results, batch, manifest, provider, ledger, database and core.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../worker/app.ts';
import type { Config } from '../core/config.ts';
import { isOutage } from '../database/connection-errors.ts';
import { dueTicks, firstAfter } from './due.ts';
import { messageOf } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { takeRun, type TakenRun } from '../ledger/schedules/runs.ts';
import {
  decideTicks,
  recordTicker,
  listSchedules,
  listTickingSchedules,
  type Schedule,
} from '../ledger/schedules/schedules.ts';
import type { Logger } from '../core/log.ts';
import { openMirror } from './mirror.ts';
import { makeRun, type RunResult } from './make-run.ts';

const LOOK_MS = 1_000;
const SEEN_MS = 5_000;

export interface SchedulesOptions {
  config: Pick<Config, 'baseUrl' | 'models' | 'profile'>;
  log: Logger;
  /** This machine's name. */
  host?: string;
}

export interface Schedules {
  /** Starts no more runs. A run that is not finished by then goes back, so that another worker makes it. */
  stop(): Promise<void>;
}

/** The name under which this process takes runs. It is unique, so that no other worker has the same lease. */
export function takerOf(host: string): string {
  return `${host}-${process.pid}-${randomUUID().slice(0, 8)}`;
}

/**
 * Every worker looks after the schedules. Every second, ticks that are due become runs, and runs that are due become
 * batches. Both are compare-and-set in the ledger, so any number of workers make each run once.
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

  async function look(): Promise<void> {
    if (performance.now() - seenAt > SEEN_MS) {
      await recordTicker(db, host);
      void mirror.show(await listSchedules(db));
      seenAt = performance.now();
    }
    const decided = await decideAll(db, log);
    if (decided) void mirror.show(await listSchedules(db));
    // Not awaited: while a large manifest is read, the ticks of other schedules are not missed.
    making ??= makeAll()
      .catch((error: unknown) => logFailure(error, log))
      .finally(() => (making = undefined));
  }

  async function makeAll(): Promise<void> {
    while (!signal.aborted) {
      const run = await takeRun(db, { worker, host });
      if (run === undefined) return;
      logRun(run, await makeRun(db, run, { config, host, signal }), log);
    }
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await look().catch((error: unknown) => logFailure(error, log));
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
    await making;
  }

  const done = loop();
  return {
    async stop() {
      stopping.abort();
      await done;
      await mirror.close();
    },
  };
}

/** Every tick that is due becomes a run, or is missed. Returns whether there were any. */
export async function decideAll(db: Database, log: Logger): Promise<boolean> {
  const schedules = await listTickingSchedules(db);
  for (const { now, ...schedule } of schedules) {
    try {
      await decide(db, schedule, now, log);
    } catch (error) {
      if (isOutage(error)) throw error;
      // For example a zone that this machine does not know: another worker may know it.
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
    // The clock was set back after this was decided. Ticks that have a run keep it.
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

function logFailure(error: unknown, log: Logger): void {
  // The connection logs an outage once.
  log[isOutage(error) ? 'debug' : 'warn'](
    { event: 'schedules-away', error: messageOf(error) },
    'the schedules failed; trying again',
  );
}

function logRun(run: TakenRun, result: RunResult, log: Logger): void {
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
