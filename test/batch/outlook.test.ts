import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { formatForecast, forecast, outlook, type Load } from '../../src/batch/outlook.ts';
import { openings, parseWindow } from '../../src/core/time/window.ts';
import { DAY_MS, joined } from '../../src/core/time/zone.ts';

const NOW = Date.parse('2026-11-22T04:00:00Z');
const KNOWN = { from: NOW, to: NOW + 90 * DAY_MS };

function told(text: string, rows: { normal?: number; offPeak?: number }, perSecond: number): string {
  const window = parseWindow('--offpeak-window', text);
  return outlook(
    { normal: 0, offPeak: 0, ...rows },
    { batch: null, offPeak: window },
    { now: NOW, perSecond },
  ).told;
}

describe('a forecast', () => {
  test('says how much fits in the next window, and when it is done', () => {
    const shanghai = '23:00-23:30 Asia/Shanghai';
    assert.equal(
      told(shanghai, { offPeak: 10_000 }, 2.34),
      "4,212 of 10,000 rows fit in tonight's window at 2.3/s; done in the third night, 24 Nov 23:11 Asia/Shanghai",
    );
    assert.equal(
      told(shanghai, { offPeak: 100 }, 1),
      "all 100 rows fit in tonight's window at 1.0/s; done 22 Nov 23:01 Asia/Shanghai",
    );
    assert.match(told(shanghai, { offPeak: 1 }, 1), /^the 1 row fits in tonight's window at/);
    assert.equal(
      told('Tue 10:00-11:00 UTC', { offPeak: 5000 }, 1),
      '3,600 of 5,000 rows fit in the next window at 1.0/s; done in the second window, 1 Dec 10:23 UTC',
    );
    // It is noon there: a window that opened a few minutes ago opens again tomorrow, which is not tonight.
    assert.match(told('22:00-22:30 Asia/Tokyo', { offPeak: 1 }, 1), /tonight's window/);
    assert.match(told('03:00-03:55 UTC', { offPeak: 1 }, 1), /the next window/);
    assert.equal(
      told('03:00-11:00 UTC', { offPeak: 10 }, 20).split(' at ')[0],
      "all 10 rows fit in tonight's window",
    );
    assert.equal(
      told(shanghai, { offPeak: 10_000_000 }, 1),
      "1,800 of 10,000,000 rows fit in tonight's window at 1.0/s; not done within 90 days",
    );
  });

  test('says so when no rate is known, or no window opens', () => {
    const never = parseWindow('--window', 'Sun 10:00-11:00 UTC except 2026-11-22');
    const rows = { normal: 5, offPeak: 5 };
    const unknown = outlook(rows, { batch: never, offPeak: null }, { now: NOW, perSecond: null });
    assert.match(
      unknown.told,
      /^not known until the first rows are accepted; --rate, such as --rate 2\/s, gives one now$/,
    );
    assert.equal(unknown.doneAt, undefined);
    const seen = forecast([{ rows: 5, openings: [] }], { now: NOW, perSecond: 1 });
    assert.deepEqual(seen, { waiting: 5, windows: [], doneAt: undefined });
    const context = { now: NOW, perSecond: 1, zone: 'UTC', known: KNOWN };
    assert.equal(
      formatForecast(seen, context),
      'none of 5 rows fits in a window of the next 90 days at 1.0/s',
    );
  });

  test('lets rows that may go at any time go first', () => {
    const [opening] = openings(parseWindow('--window', '04:30-05:30 UTC'), KNOWN);
    const loads = [{ rows: 100, openings: opening && [opening] }, { rows: 3600 }];
    const { windows, doneAt } = forecast(loads, { now: NOW, perSecond: 1 });
    assert.equal(windows[0]?.rows, 100);
    assert.equal(doneAt, NOW + 3_700_000);
  });

  test('of rows under both windows uses the hours that both have', () => {
    const batch = parseWindow('--window', '05:00-08:00 UTC');
    const offPeak = parseWindow('--offpeak-window', '07:00-12:00 UTC');
    const { windows } = outlook({ normal: 0, offPeak: 3700 }, { batch, offPeak }, { now: NOW, perSecond: 1 });
    assert.deepEqual(
      windows?.map(({ from, rows }) => [new Date(from).toISOString().slice(8, 16), rows]),
      [
        ['22T07:00', 3600],
        ['23T07:00', 100],
      ],
    );
  });

  test('sends no row twice or outside of a window, and ends as soon as possible', () => {
    const span = fc
      .tuple(fc.nat(1000), fc.nat(300))
      .map(([from, ms]) => ({ from: NOW + from, to: NOW + from + ms + 1 }));
    const load: fc.Arbitrary<Load> = fc.record({
      rows: fc.nat(200),
      openings: fc.option(fc.array(span, { maxLength: 4 }).map(joined), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(load, { maxLength: 2 }), fc.integer({ min: 1, max: 2000 }), (loads, perSecond) => {
        const { windows, waiting, doneAt } = forecast(loads, { now: NOW, perSecond });
        const sent = windows.reduce((sum, { rows }) => sum + rows, 0);
        assert.ok(sent <= waiting);
        for (const { from, to, rows } of windows) {
          assert.ok(
            rows <= ((to - Math.max(from, NOW)) * perSecond) / 1000 + 1e-6,
            'no more than there is room for',
          );
        }
        const all = loads.reduce((sum, { rows }) => sum + rows, 0);
        if (doneAt !== undefined) assert.ok(doneAt >= NOW + Math.floor((all * 1000) / perSecond));
        if (all === 0) assert.equal(doneAt, NOW);
        if (loads.every(({ openings: open }) => open === undefined)) assert.notEqual(doneAt, undefined);
      }),
    );
  });
});
