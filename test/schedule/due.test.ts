import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dueTicks, jitterOf, LATE_MS, runName } from '../../src/schedule/due.ts';

const at = (text: string): number => Date.parse(text);
const HOURLY = { name: 'hourly', cron: '0 * * * *', zone: 'UTC', missed: 'once' as const, jitterMs: 0 };

function due(schedule: Partial<typeof HOURLY> | { missed: 'skip' }, nextAt: string, now: string) {
  const { runs, next } = dueTicks({ ...HOURLY, ...schedule, nextAt: at(nextAt) }, at(now));
  return { runs: runs.map(({ tick, missed }) => [tick.toISOString().slice(11, 16), missed]), next };
}

describe('a tick that is due', () => {
  test('is run, and the next one is known', () => {
    assert.deepEqual(due({}, '2026-11-25T08:00Z', '2026-11-25T08:00Z'), {
      runs: [['08:00', null]],
      next: at('2026-11-25T09:00Z'),
    });
  });

  test('is run when it is seen a little late, and so is each that came meanwhile', () => {
    const minutely = { cron: '* * * * *' };
    const { runs } = due(minutely, '2026-11-25T08:00Z', '2026-11-25T08:03:30Z');
    assert.deepEqual(
      runs.map(([tick]) => tick),
      ['08:00', '08:01', '08:02', '08:03'],
    );
    assert.equal(LATE_MS, 300_000);
  });
});

describe('ticks that no worker has seen', () => {
  test('are run once, for all of them, as the last one', () => {
    const { runs } = due({}, '2026-11-25T08:00Z', '2026-11-25T11:30Z');
    assert.deepEqual(runs, [
      [
        '08:00',
        'no worker was running: ticks from 2026-11-25 08:00:00 +00:00 up to the one of 2026-11-25 11:00:00 +00:00, which is run for all of them',
      ],
      ['11:00', null],
    ]);
    assert.deepEqual(due({}, '2026-11-25T08:00Z', '2026-11-25T08:30Z').runs, [['08:00', null]]);
  });

  test('are not run beside one that is on time', () => {
    const { runs } = due({}, '2026-11-25T08:00Z', '2026-11-25T11:01Z');
    assert.deepEqual(
      runs.map(([tick, missed]) => [tick, missed === null]),
      [
        ['08:00', false],
        ['11:00', true],
      ],
    );
  });

  test('are not run at all if the schedule says so', () => {
    const { runs, next } = due({ missed: 'skip' }, '2026-11-25T08:00Z', '2026-11-25T11:30Z');
    assert.deepEqual(runs, [
      ['08:00', 'no worker was running: ticks from 2026-11-25 08:00:00 +00:00 to 2026-11-25 11:00:00 +00:00'],
    ]);
    assert.equal(next, at('2026-11-25T12:00Z'));
  });

  test('of a month of seconds are reported, not counted', () => {
    const { runs } = due({ cron: '* * * * * *' }, '2026-10-25T08:00Z', '2026-11-25T11:30Z');
    assert.equal(runs.length, 1 + 300);
  });
});

test('a run is named after what the clock on the wall shows, and how far ahead of UTC it is', () => {
  const name = (zone: string, text: string): string => runName({ name: 'nightly', zone }, at(text));
  assert.equal(name('Asia/Shanghai', '2026-11-22T15:00:00Z'), 'nightly@20261122T230000+0800');
  assert.equal(name('America/St_Johns', '2026-11-22T15:00:00Z'), 'nightly@20261122T113000-0330');
  assert.equal(name('UTC', '2026-11-22T15:00:00.042Z'), 'nightly@20261122T150000.042+0000');
  // What is shown twice has two names.
  assert.notEqual(
    name('Europe/Berlin', '2026-10-25T00:30:00Z'),
    name('Europe/Berlin', '2026-10-25T01:30:00Z'),
  );
});

test('jitter follows from the tick alone, and spreads', () => {
  const jitters = Array.from({ length: 200 }, (_, n) => jitterOf({ name: 'nightly', jitterMs: 1000 }, n));
  assert.deepEqual(
    jitters,
    Array.from({ length: 200 }, (_, n) => jitterOf({ name: 'nightly', jitterMs: 1000 }, n)),
  );
  assert.ok(jitters.every((jitter) => jitter >= 0 && jitter < 1000));
  assert.ok(Math.max(...jitters) > 800 && Math.min(...jitters) < 200);
  assert.equal(jitterOf({ name: 'nightly', jitterMs: 0 }, 1), 0);
});
