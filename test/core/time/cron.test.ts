import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assert as check, constantFrom, nat, property } from 'fast-check';
import { checkCron, lastTick, nextTicks } from '../../../src/core/time/cron.ts';
import { DAY_MS, stretches, wallClock } from '../../../src/core/time/zone.ts';

const at = (text: string): number => Date.parse(text);

function iso(cron: string, zone: string, after: string, count: number): string[] {
  return nextTicks({ cron, zone }, at(after), count).map((tick) => new Date(tick).toISOString().slice(0, 19));
}

const YEAR = { from: at('2026-01-01T00:00:00Z'), to: at('2027-01-01T00:00:00Z') };
/** Lord Howe's clocks move by half an hour, Cairo's and Beirut's at midnight. */
const CHANGING = Intl.supportedValuesOf('timeZone').filter((zone) => stretches(zone, YEAR).length > 1);

/** The last time of that kind, by the clock on the wall, up to the tick: its own, or one that the clocks have skipped. */
function wantedAt(zone: string, tick: number, timeOfDay: number): number {
  const shown = wallClock(zone, tick);
  const day = Math.floor(shown / DAY_MS) * DAY_MS;
  return day + timeOfDay <= shown ? day + timeOfDay : day - DAY_MS + timeOfDay;
}

describe('ticks', () => {
  test('are times on the wall of their zone', () => {
    assert.deepEqual(iso('0 23 * * *', 'Asia/Shanghai', '2026-11-22T00:00:00Z', 2), [
      '2026-11-22T15:00:00',
      '2026-11-23T15:00:00',
    ]);
    assert.deepEqual(iso('*/20 * * * * *', 'UTC', '2026-11-22T00:00:20Z', 2), [
      '2026-11-22T00:00:40',
      '2026-11-22T00:01:00',
    ]);
  });

  test('that the clocks skip come once, at the first moment after it', () => {
    const around = ['2026-03-28T01:30:00', '2026-03-29T01:00:00', '2026-03-30T00:30:00'];
    assert.deepEqual(iso('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z', 3), around);
    // Of several that are skipped, and one at that moment, there is one.
    assert.deepEqual(iso('0,30 2,3 * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', 2), [
      '2026-03-29T01:00:00',
      '2026-03-29T01:30:00',
    ]);
  });

  test('that the clocks show twice come the first time', () => {
    assert.deepEqual(iso('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2), [
      '2026-10-25T00:30:00',
      '2026-10-26T01:30:00',
    ]);
  });

  test('of every hour continue through both changes', () => {
    assert.deepEqual(iso('30 * * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', 3), [
      '2026-10-25T00:30:00',
      '2026-10-25T01:30:00',
      '2026-10-25T02:30:00',
    ]);
    assert.deepEqual(iso('30 * * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', 2), [
      '2026-03-29T00:30:00',
      '2026-03-29T01:30:00',
    ]);
  });

  test('of a day that a zone has skipped come at its end', () => {
    assert.deepEqual(iso('0 12 * * *', 'Pacific/Apia', '2011-12-29T00:00:00Z', 3), [
      '2011-12-29T22:00:00',
      '2011-12-30T10:00:00',
      '2011-12-30T22:00:00',
    ]);
  });

  test('that are years away are found', () => {
    assert.deepEqual(iso('0 0 29 2 *', 'Asia/Tokyo', '2026-11-22T00:00:00Z', 2), [
      '2028-02-28T15:00:00',
      '2032-02-28T15:00:00',
    ]);
  });

  test('of a day come once a day, at their time unless the clocks skip it, in every zone whose clocks change', () => {
    assert.ok(CHANGING.length > 50);
    check(
      property(
        constantFrom(...CHANGING),
        nat({ max: 24 * 60 - 1 }),
        nat({ max: 200 }),
        (zone, minute, chance) => {
          const cron = `${minute % 60} ${Math.floor(minute / 60)} * * *`;
          // Around a change, where something can go wrong.
          const changes = stretches(zone, YEAR).slice(1);
          const change = changes[chance % changes.length];
          assert.ok(change !== undefined);
          const ticks = nextTicks({ cron, zone }, change.from - 3 * DAY_MS, 6);
          const wanted = ticks.map((tick) => wantedAt(zone, tick, minute * 60_000));
          const days = wanted.map((wall) => Math.floor(wall / DAY_MS));
          assert.deepEqual(
            days,
            [...days.keys()].map((n) => (days[0] ?? 0) + n),
          );
          for (const [n, tick] of ticks.entries()) {
            const wall = wanted[n] ?? NaN;
            const shown = wallClock(zone, tick);
            const skipped = tick === change.from && wallClock(zone, tick - 1) < wall && wall < shown;
            assert.ok(shown === wall || skipped, `${cron} in ${zone}: ${new Date(tick).toISOString()}`);
          }
        },
      ),
      // There, clocks go from 23:00 to 00:00: a tick at 23:00 comes on the next day.
      { numRuns: 150, examples: [['America/Scoresbysund', 23 * 60, 0]] },
    );
  });

  test('do not depend on the first instant, and the last tick is the one before', () => {
    const crons = ['*/30 * * * *', '15 1,2,3 * * *', '0 0 1 * *', '30 2 * * 0'];
    check(
      property(constantFrom(...CHANGING), constantFrom(...crons), nat({ max: 364 }), (zone, cron, day) => {
        const after = YEAR.from + day * DAY_MS;
        const [first = 0, second = 0, third = 0] = nextTicks({ cron, zone }, after, 3);
        assert.deepEqual(nextTicks({ cron, zone }, first, 2), [second, third]);
        assert.deepEqual(nextTicks({ cron, zone }, second - 1, 2), [second, third]);
        assert.equal(lastTick({ cron, zone }, after, third - 1), second);
        assert.equal(lastTick({ cron, zone }, after, third), third);
        assert.equal(lastTick({ cron, zone }, second, third - 1), undefined);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a cron expression', () => {
  test('has five or six fields', () => {
    assert.equal(checkCron(' 0  23 * * THU '), '0 23 * * THU');
    assert.equal(checkCron('0 0 L mar,dec *'), '0 0 L mar,dec *');
    assert.throws(() => checkCron('0 23 * *'), { code: 'BAD_CRON', message: /has 4 fields/ });
    assert.throws(() => checkCron('@daily'), { code: 'BAD_CRON' });
  });

  for (const wrong of [
    '61 * * * *',
    '0 25 * * *',
    'a b c d e',
    'H 23 * * *',
    '0 H(1-3) * * *',
    '0 0 30 2 *',
  ]) {
    test(`${wrong} is refused`, () => {
      assert.throws(() => checkCron(wrong), { code: 'BAD_CRON', exitCode: 2 });
    });
  }
});
