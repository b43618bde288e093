import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { etaOf, speedOf } from '../../src/operate/pace.ts';
import { noCounts } from '../../src/core/submission.ts';
import type { Gate } from '../../src/operate/gate.ts';

const summary = (...gates: Gate['gate'][]): Parameters<typeof etaOf>[2] => ({
  counts: { ...noCounts(), pending: 90, submitting: 10 },
  gates: gates.map((gate) => ({ gate, reason: '' })),
  budget: null,
});

describe('an ETA', () => {
  test('is what is left at the speed of the last minute', () => {
    assert.equal(etaOf(4, true, summary()), 25);
    assert.equal(etaOf(4, true, summary('throttled')), 25);
  });

  test('is of the rows that the budget pays for', () => {
    const purse = {
      currency: 'CNY',
      budget: '9',
      spent: '1',
      reserved: '1',
      left: '7',
      beyond: 60,
      told: '',
    };
    assert.equal(etaOf(4, true, { ...summary(), budget: purse }), 10);
  });

  test('is not told while a gate is shut, nobody works, or nothing was accepted', () => {
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

test('a slow batch is told by the number of its rows', () => {
  assert.equal(speedOf({ accepted: 8, seconds: 60 }), '8 accepted in the last minute');
  assert.equal(speedOf({ accepted: 750, seconds: 60 }), '12.5 accepted/s over the last minute');
  assert.equal(speedOf({ accepted: 40, seconds: 20 }), '2.0 accepted/s over the last 20s');
  assert.equal(speedOf({ accepted: 2, seconds: 4.2 }), '2 accepted in the last 4s');
});
