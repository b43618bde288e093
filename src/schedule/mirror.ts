import type { App } from '../worker/app.ts';
import { wallTime } from './due.ts';
import { messageOf } from '../core/errors.ts';
import type { Schedule } from '../ledger/schedules/schedules.ts';
import type { Logger } from '../core/log.ts';
import { scheduleQueue } from '../worker/queue/name.ts';
import { openQueue } from '../worker/queue/queue.ts';

export interface Mirror {
  /**
   * Shows these schedules after the earlier call has ended. Resolves when it has tried, and never rejects: nothing
   * depends on it.
   */
  show(schedules: readonly Schedule[]): Promise<void>;
  close(): Promise<void>;
}

/** Jobs that the queue has lost are shown again after this time. */
const AGAIN_MS = 60_000;

/**
 * The schedules as BullMQ's job schedulers, for people on Bull Board: each with a delayed job for its next tick, which
 * no worker takes. The ledger does not read them: a job that is lost, removed or run there changes no run.
 */
export function openMirror(app: Pick<App, 'store' | 'ledgerId'>, log: Logger): Mirror {
  const queue = openQueue(app.store, scheduleQueue(app.ledgerId));
  let shown = '';
  let shownAt = 0;
  let waiting: readonly Schedule[] | undefined;
  let running: Promise<void> | undefined;
  const closing = new AbortController();

  async function copy(schedules: readonly Schedule[]): Promise<void> {
    const ticking = schedules.filter((schedule) => schedule.pausedAt === null);
    const names = new Set(ticking.map((schedule) => schedule.name));
    for (const { key } of await queue.getJobSchedulers()) {
      if (!names.has(key)) await queue.removeJobScheduler(key);
    }
    for (const schedule of ticking) {
      try {
        await put(schedule);
      } catch {
        // BullMQ on Postgres: a removal in the middle of a change leaves the job, which then blocks this schedule for
        // ever.
        const jobs = await queue.getDelayed();
        await Promise.all(jobs.filter(({ name }) => name === schedule.name).map(async (job) => job.remove()));
        await put(schedule);
      }
    }
  }

  async function put({ name, cron, zone, manifest, nextAt }: Schedule): Promise<void> {
    await queue.upsertJobScheduler(
      name,
      // Where clocks change, BullMQ computes another next tick. The right one is in the data.
      { pattern: cron, tz: zone },
      { name, data: { schedule: name, manifest, tick: wallTime(zone, nextAt.getTime()) } as never },
    );
  }

  async function catchUp(): Promise<void> {
    while (waiting !== undefined && !closing.signal.aborted) {
      const schedules = waiting;
      waiting = undefined;
      const text = JSON.stringify(schedules.map(({ name, nextAt, pausedAt }) => [name, nextAt, pausedAt]));
      if (text === shown && performance.now() - shownAt < AGAIN_MS) continue;
      try {
        await copy(schedules);
        shown = text;
        shownAt = performance.now();
      } catch (error) {
        log.debug({ event: 'mirror-failed', error: messageOf(error) }, 'the schedules are not on the board');
      }
    }
  }

  return {
    async show(schedules) {
      waiting = schedules;
      running ??= catchUp().finally(() => (running = undefined));
      return running;
    },
    async close() {
      closing.abort();
      // Not awaited: it may wait for a Redis that is away, and ends with the queue.
      await queue.close();
    },
  };
}
