import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPace, type Pace } from '../../src/worker/pace.ts';

interface Staged {
  pace: Pace;
  /** Claims rows at this rate for so many seconds, ten times a second. */
  send: (perSecond: number, seconds: number) => void;
  pass: (ms: number) => void;
}

function stage({ concurrency = 8, most = 1000 } = {}): Staged {
  let now = 5_000;
  const clock = { wall: () => 0, monotonic: () => now };
  const pace = createPace(clock, { concurrency, most });
  return {
    pace,
    send(perSecond, seconds) {
      for (let n = 0; n < seconds * 10; n += 1) {
        now += 100;
        pace.claimed(perSecond / 10);
      }
    },
    pass(ms) {
      now += ms;
    },
  };
}

describe('a job is as large as what a worker sends in about a second', () => {
  for (const [perSecond, size] of [
    [10, 10],
    [50, 50],
    [700, 100],
  ] as const) {
    test(`at ${perSecond} rows a second: ${size} rows`, () => {
      const { pace, send } = stage();
      send(perSecond, 5);
      assert.ok(Math.abs(pace.size() - size) <= size / 10, `${pace.size()} rows`);
    });
  }

  test('where rows take long, it is a row or a few: as many as fill the open calls', () => {
    for (const [concurrency, size] of [
      [1, 1],
      [8, 2],
      [100, 15],
    ] as const) {
      const { pace, send } = stage({ concurrency });
      assert.equal(pace.size(), size, 'before anything is known, too');
      send(1, 4);
      assert.equal(pace.size(), size);
    }
    assert.equal(stage({ concurrency: 100, most: 3 }).pace.size(), 3);
  });

  test('it follows within seconds when rows go slower, and faster', () => {
    const { pace, send } = stage();
    send(80, 3);
    send(5, 3);
    assert.ok(pace.size() <= 10, `${pace.size()} rows`);
    send(80, 3);
    assert.ok(pace.size() >= 70, `${pace.size()} rows`);
  });

  test('in a pause it stays as it is, and after one it is found again within two seconds', () => {
    const { pace, send, pass } = stage();
    send(40, 4);
    pass(1_000);
    const before = pace.size();
    for (let n = 0; n < 100; n += 1) {
      pass(36_000);
      assert.ok(pace.size() <= before && pace.size() >= 1);
    }
    send(40, 2);
    assert.ok(pace.size() >= 36, `${pace.size()} rows`);
  });
});

test('jobs wait for about a second of work, for each open call at least, and no more than may wait', () => {
  const { pace, send } = stage({ concurrency: 8, most: 300 });
  assert.equal(pace.ahead(), 8);
  send(200, 4);
  assert.ok(pace.ahead() >= 180 && pace.ahead() <= 220, `${pace.ahead()} rows`);
  send(2_000, 4);
  assert.equal(pace.ahead(), 300);
});

test('a worker has enough jobs to fill its open calls, also with a slow provider', () => {
  for (const concurrency of [1, 2, 4, 8, 50, 100, 1_000]) {
    const { pace, send } = stage({ concurrency });
    send(1, 4);
    assert.ok(pace.jobs <= concurrency, 'never more than open calls');
    assert.ok(pace.jobs * pace.size() >= concurrency);
  }
});

test('it stays within its bounds for all sequences of claims', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 5_000 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 5_000 })), {
        maxLength: 40,
      }),
      (concurrency, most, claims) => {
        const { pace, pass } = stage({ concurrency, most });
        for (const [ms, rows] of claims) {
          pass(ms);
          pace.claimed(rows);
          assert.ok(pace.size() >= 1 && pace.size() <= Math.min(100, most));
          assert.ok(pace.ahead() >= pace.size() && pace.ahead() <= most);
          assert.ok(pace.jobs >= 1 && pace.jobs <= concurrency);
        }
      },
    ),
  );
});
