import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schedule } from '../../src/ledger/schedules/schedules.ts';
import { scheduleQueue } from '../../src/worker/queue/name.ts';
import { openQueue } from '../../src/worker/queue/queue.ts';
import { openMirror } from '../../src/schedule/mirror.ts';
import { nextTicks } from '../../src/core/time/cron.ts';
import { hear } from './log.ts';
import { onEvery, STORAGES } from './storages.ts';

function ticking(name: string, more: Partial<Schedule> = {}): Schedule {
  const rhythm = { cron: '0 23 * * *', zone: 'Asia/Shanghai', ...more };
  return {
    id: 1,
    name,
    manifest: `/jobs/${name}.csv`,
    flags: {},
    overlap: 'skip',
    missed: 'once',
    jitterMs: 0,
    nextAt: new Date(nextTicks(rhythm, Date.now(), 1)[0] ?? 0),
    decidedAt: new Date(),
    pausedAt: null,
    ...rhythm,
  };
}

onEvery(STORAGES, (storage) => {
  test('people see the schedules that tick, each with its next tick, also after the queue has lost them', async () => {
    const { store, ledgerId } = storage();
    const queue = openQueue(store, scheduleQueue(ledgerId));
    const seen = async (): Promise<string> =>
      (await queue.getJobSchedulers())
        .map(({ key, next }) => `${key} ${next}`)
        .sort()
        .join();
    const nightly = ticking('nightly');
    const weekly = ticking('weekly', { cron: '0 1 * * 0', zone: 'Europe/Berlin' });
    const told = (...all: Schedule[]): string =>
      all.map(({ name, nextAt }) => `${name} ${nextAt.getTime()}`).join();
    const mirror = openMirror(storage(), hear().log);
    try {
      await mirror.show([nightly, weekly]);
      assert.equal(await seen(), told(nightly, weekly));
      // Of each, one job that waits for the tick, and stays one.
      await mirror.show([nightly, { ...weekly, pausedAt: new Date() }]);
      assert.equal(await seen(), told(nightly));
      const jobs = await queue.getDelayed();
      assert.deepEqual(
        jobs.map(({ name, data }) => [name, (data as unknown as { schedule: string }).schedule]),
        [['nightly', 'nightly']],
      );
      await queue.removeJobScheduler('nightly');
      await mirror.show([nightly, weekly]);
      assert.equal(await seen(), told(nightly, weekly));
    } finally {
      await mirror.close();
      await queue.close();
    }
  });

  test('a job that was left behind without its schedule does not keep it from being shown', async () => {
    const { store, ledgerId } = storage();
    const queue = openQueue(store, scheduleQueue(ledgerId));
    const yearly = ticking('yearly', { cron: '0 0 1 1 *' });
    const at = yearly.nextAt.getTime();
    await queue.add('yearly', {} as never, { jobId: `repeat:yearly:${at}`, delay: at - Date.now() });
    const mirror = openMirror(storage(), hear().log);
    try {
      await mirror.show([yearly]);
      assert.deepEqual(
        (await queue.getJobSchedulers()).filter(({ key }) => key === 'yearly').map(({ next }) => next),
        [at],
      );
    } finally {
      await mirror.close();
      await queue.close();
    }
  });
});
