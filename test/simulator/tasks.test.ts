import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DEFAULTS } from '../../src/simulator/settings.ts';
import { spanOf, statusOf } from '../../src/simulator/tasks.ts';

const times = fc.integer({ min: 0, max: 1_000_000 });

test('a task only ever moves forward, and its end is final', () => {
  const order = ['queued', 'in_progress', 'end'];
  const ends = fc.constantFrom('completed', 'failed', 'expired', null);
  fc.assert(
    fc.property(times, times, times, ends, times, times, (queuedMs, runningMs, free, end, a, b) => {
      const life = { ...DEFAULTS.task, queuedMs, runningMs, ends: end };
      const task = { taskId: 'task_x', number: 1, span: spanOf(0, free, life), life };
      const [early, late] = [Math.min(a, b), Math.max(a, b)].map((now) => statusOf(task, now, 1, 1));
      assert.ok(early && late);
      const rank = (status: string): number => (order.includes(status) ? order.indexOf(status) : 2);
      assert.ok(rank(early.status) <= rank(late.status), `${early.status} before ${late.status}`);
      if (early.status === late.status && early.status === 'in_progress') {
        assert.ok(early.progress <= late.progress && late.progress < 100);
      }
      if (rank(early.status) === 2) assert.deepEqual(late, early);
    }),
  );
});

test('a task starts when it has waited and there is room', () => {
  const life = { ...DEFAULTS.task, queuedMs: 10, runningMs: 5 };
  assert.deepEqual(spanOf(100, 0, life), { startsAt: 110, endsAt: 115 });
  assert.deepEqual(spanOf(100, 200, life), { startsAt: 200, endsAt: 205 });
});
