import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundsOf, isDue, keptOf, nextDepth } from '../../../src/worker/queue/depth.ts';

const BOUNDS = boundsOf(1000, 8);

/** Looks every 20 ms at a queue from which so many rows a second are taken; how deep it is at the end. */
function after(seconds: number, perSecond: number, depth = BOUNDS.least): number {
  let [waiting, fullAt] = [depth, 0];
  for (let now = 20; now <= seconds * 1000; now += 20) {
    waiting = Math.max(0, waiting - perSecond / 50);
    if (!isDue(depth, waiting)) continue;
    depth = nextDepth(depth, waiting, now - fullAt, BOUNDS);
    [waiting, fullAt] = [depth, now];
  }
  return depth;
}

test('a queue is as deep as what is sent in about a second, and no deeper than it may be', () => {
  for (const perSecond of [160, 300, 700]) {
    const depth = after(60, perSecond);
    assert.ok(depth >= 0.7 * perSecond && depth <= 1.7 * perSecond, `${depth} at ${perSecond} a second`);
  }
  assert.equal(after(60, 5), BOUNDS.least);
  assert.equal(after(60, 5_000), 1000);
});

test('it is deep enough within a second', () => {
  assert.ok(after(1, 700) >= 490);
});

test('it becomes shallow again when less is taken', () => {
  assert.equal(after(600, 20, 1000), BOUNDS.least);
});

const most = fc.integer({ min: 1, max: 100_000 });
const inHand = fc.integer({ min: 1, max: 1_000 });

test('it is never deeper than it may be, nor empty, and some rows stay when batches take turns', () => {
  fc.assert(
    fc.property(most, inHand, fc.array(fc.nat(1000)), (most, inHand, all) => {
      const bounds = boundsOf(most, inHand);
      let depth = bounds.least;
      for (const thousandth of all) {
        depth = nextDepth(depth, (depth * thousandth) / 1000, thousandth, bounds);
        assert.ok(depth >= bounds.least && depth <= most);
        assert.ok(keptOf(depth) >= 1 && keptOf(depth) <= depth);
      }
    }),
  );
});
