import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { noCounts } from '../../src/core/states.ts';
import type { Gate } from '../../src/operate/gates.ts';
import { standingOf } from '../../src/operate/standing.ts';

const TASKS = { open: 0, polled: false };

function withGate(gate: Gate, rate: number): string {
  return standingOf(
    { rows: 4, counts: { ...noCounts(), pending: 4 }, gates: [gate], rate, fed: true },
    TASKS,
  );
}

suite('what a batch does now', () => {
  const batch: Gate = { gate: 'paused', reason: 'the batch is paused' };
  const model: Gate = { ...batch, model: 'viduq3p-1080p', scope: 'all' };

  test('it is paused while the batch is paused, however fast it was', () => {
    assert.equal(withGate(batch, 3), 'paused');
  });

  test('it sends while one of its models is paused and rows of another are accepted', () => {
    assert.equal(withGate(model, 3), 'sending');
    assert.equal(withGate(model, 0), 'paused');
  });
});
