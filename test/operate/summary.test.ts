import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { noCounts, STATES, type Counts } from '../../src/core/states.ts';
import { formatDistance, formatDuration } from '../../src/core/units.ts';
import type { Gate } from '../../src/operate/gates.ts';
import { exitCodeOf, receipt, totalOf, etaOf, formatSpeed } from '../../src/operate/summary.ts';

function batch(counts: Partial<Counts>, surplus = 0): { counts: Counts; surplus: number } {
  return { counts: { ...noCounts(), ...counts }, surplus };
}

describe('the exit code', () => {
  const cases: [string, Parameters<typeof exitCodeOf>, number][] = [
    ['all well', [[batch({ submitted: 9 })]], 0],
    ['nothing at all', [[]], 0],
    ['cancelled and abandoned rows are settled', [[batch({ cancelled: 1, abandoned: 1 })]], 0],
    ['rejected', [[batch({ submitted: 9, rejected: 1 })]], 4],
    ['exhausted', [[batch({ exhausted: 1 })]], 4],
    ['invalid', [[batch({ invalid: 1 })]], 4],
    ['uncertain', [[batch({ submitted: 9, uncertain: 1 })]], 5],
    ['paid twice', [[batch({ submitted: 9 }, 1)]], 5],
    ['stopped', [[batch({ pending: 9 })], true], 6],
    ['stopped outweighs failed rows', [[batch({ rejected: 9 })], true], 6],
    ['uncertain outweighs being stopped', [[batch({ uncertain: 1, rejected: 9 })], true], 5],
    [
      'the worst of several batches',
      [[batch({ rejected: 1 }), batch({ submitted: 1 }), batch({ uncertain: 1 })]],
      5,
    ],
  ];
  for (const [name, args, code] of cases) {
    test(`${code}: ${name}`, () => {
      assert.equal(exitCodeOf(...args), code);
    });
  }

  test('is 0 only if no row failed, is uncertain, or was paid twice', () => {
    const counts = fc.record(Object.fromEntries(STATES.map((state) => [state, fc.nat(3)])));
    fc.assert(
      fc.property(counts, fc.nat(1), fc.boolean(), (some, surplus, stopped) => {
        const all = some as Counts;
        const bad = all.rejected + all.exhausted + all.invalid + all.uncertain + surplus + Number(stopped);
        assert.equal(exitCodeOf([{ counts: all, surplus }], stopped) === 0, bad === 0);
      }),
    );
  });
});

describe('the receipt', () => {
  test('names every state that is not empty, and what was paid twice', () => {
    const { counts, surplus } = batch({ submitted: 49_988, rejected: 9, uncertain: 3 });
    assert.equal(
      receipt({ rows: totalOf(counts), counts, surplus, taskIds: 49_988 }),
      '50,000 rows · 49,988 task ids · 9 rejected · 3 uncertain · paid twice: none known',
    );
    assert.match(receipt({ rows: 1, counts, surplus: 2, taskIds: 1 }), /^1 row · .*paid twice: 2 rows$/);
  });

  test('adds up', () => {
    const counts = Object.fromEntries(STATES.map((state, n) => [state, n + 1])) as Counts;
    assert.equal(totalOf(counts), 45);
    const named = receipt({ rows: 45, counts, surplus: 0, taskIds: counts.submitted }).split(' · ');
    assert.equal(
      named.slice(1, -1).reduce((sum, part) => sum + Number.parseInt(part, 10), 0),
      45,
    );
  });
});

test('durations are short and to the second', () => {
  const cases: [number, string][] = [
    [0, '0s'],
    [499, '0s'],
    [12_400, '12s'],
    [59_600, '1m 00s'],
    [200_000, '3m 20s'],
    [3_599_700, '1h 00m'],
    [3_720_000, '1h 02m'],
    [-5, '0s'],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

test('from two days on, the distance of a moment is told in days', () => {
  const hour = 3_600_000;
  const told = [12_400, 47.5 * hour, 48 * hour, 150.2 * hour].map(formatDistance);
  assert.deepEqual(told, ['12s', '47h 30m', '2 days', '6 days']);
});

const summary = (...gates: Gate['gate'][]): Parameters<typeof etaOf>[2] => ({
  counts: { ...noCounts(), pending: 90, submitting: 10 },
  gates: gates.map((gate) => ({ gate, reason: '' })),
  budget: null,
});

describe('an ETA', () => {
  test('is the remaining time at the speed of the last minute', () => {
    assert.equal(etaOf(4, true, summary()), 25);
    assert.equal(etaOf(4, true, summary('throttled')), 25);
  });

  test('counts only rows that the budget pays for', () => {
    const status = {
      currency: 'CNY',
      budget: '9',
      spent: '1',
      reserved: '1',
      left: '7',
      beyond: 60,
      told: '',
    };
    assert.equal(etaOf(4, true, { ...summary(), budget: status }), 10);
  });

  test('is not shown while a gate is shut, no worker runs, or no row was accepted', () => {
    for (const gate of [
      'paused',
      'cancelled',
      'halted',
      'trying',
      'window',
      'not-before',
      'deadline',
    ] as const) {
      assert.equal(etaOf(4, true, summary('throttled', gate)), null, gate);
    }
    assert.equal(etaOf(4, false, summary()), null);
    assert.equal(etaOf(0, true, summary()), null);
    assert.equal(etaOf(4, true, { counts: noCounts(), gates: [], budget: null }), null);
  });
});

test('the speed of a slow batch is shown as a number of rows', () => {
  assert.equal(formatSpeed({ accepted: 8, seconds: 60 }), '8 accepted in the last minute');
  assert.equal(formatSpeed({ accepted: 750, seconds: 60 }), '12.5 accepted/s over the last minute');
  assert.equal(formatSpeed({ accepted: 40, seconds: 20 }), '2.0 accepted/s over the last 20s');
  assert.equal(formatSpeed({ accepted: 2, seconds: 4.2 }), '2 accepted in the last 4s');
});
