import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FAULT_NAMES, FAULTS, parseFault } from '../../src/simulator/fault.ts';
import { draw, pickByRate } from '../../src/simulator/random.ts';

test('a fault is a name, a variant and a rate', () => {
  assert.deepEqual(parseFault('timeout:created=0.01'), { name: 'timeout', created: true, rate: 0.01 });
  assert.deepEqual(parseFault('timeout:not-created=1'), { name: 'timeout', created: false, rate: 1 });
  assert.deepEqual(parseFault('throttle=0.5'), { name: 'throttle', created: false, rate: 0.5 });
});

test('without a variant, a task is created if it can be; without a rate, every create is struck', () => {
  for (const name of FAULT_NAMES) {
    assert.deepEqual(parseFault(name), { name, created: FAULTS[name].creates !== 'never', rate: 1 });
  }
});

const WRONG: [string, RegExp][] = [
  ['timout', /fault "timout" is not known/],
  ['', /fault "" is not known/],
  ['constructor', /is not known/],
  ['timeout:perhaps', /only :created or :not-created/],
  ['timeout:created:created', /only :created or :not-created/],
  ['policy:created', /never creates a task/],
  ['slow-body:not-created', /always creates a task/],
  ['timeout=', /not a number between 0 and 1/],
  ['timeout=1.5', /not a number between 0 and 1/],
  ['timeout=NaN', /not a number between 0 and 1/],
  ['timeout=0.1=0.1', /not a number between 0 and 1/],
];

for (const [spec, message] of WRONG) {
  test(`${JSON.stringify(spec)} is refused: ${message.source}`, () => {
    assert.throws(() => parseFault(spec), { message, exitCode: 2 });
  });
}

test('an unknown fault lists the known ones', () => {
  assert.throws(() => parseFault('x'), { hint: `known: ${FAULT_NAMES.join(', ')}` });
});

test('rates share out the unit interval', () => {
  const faults = [parseFault('timeout=0.25'), parseFault('status-502=0.25')];
  const at = (drawn: number) => pickByRate(faults, drawn)?.name;
  assert.deepEqual(
    [at(0), at(0.24), at(0.25), at(0.49), at(0.5), at(0.99)],
    ['timeout', 'timeout', 'status-502', 'status-502', undefined, undefined],
  );
});

test('draws are in [0, 1), repeatable, and spread evenly for every seed', () => {
  fc.assert(
    fc.property(fc.integer(), fc.string(), (seed, purpose) => {
      const all = Array.from({ length: 1000 }, (_, n) => draw(seed, purpose, n));
      assert.ok(all.every((number) => number >= 0 && number < 1));
      assert.equal(draw(seed, purpose, 17), all[17]);
      const low = all.filter((number) => number < 0.1).length;
      assert.ok(low > 40 && low < 180, `${low} of 1000 below 0.1`);
    }),
    { numRuns: 30, seed: 1 },
  );
});
