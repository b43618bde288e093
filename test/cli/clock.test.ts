import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellLocal } from '../../src/cli/output/clock.ts';

test('a moment is told in local time with its zone, and how far it is from now; near another one, it is short', (t) => {
  const zone = process.env['TZ'];
  t.after(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });
  process.env['TZ'] = 'Asia/Shanghai';
  const at = new Date('2026-11-30T06:32:05.700Z');
  const seconds = (n: number): number => at.getTime() + n * 1000;
  const tell = tellLocal(seconds(200));
  assert.equal(tell(at), '2026-11-30 14:32:05 UTC+8 (3m 20s ago)');
  assert.equal(tellLocal(seconds(-7500))(at), '2026-11-30 14:32:05 UTC+8 (in 2h 05m)');
  assert.equal(tellLocal(seconds(12 * 86_400))(at), '2026-11-30 14:32:05 UTC+8 (12 days ago)');
  assert.equal(tell(new Date(seconds(1)), at), '14:32:06');
  const nextDay = new Date('2026-11-30T16:00:00Z');
  assert.equal(tell(nextDay, at), '2026-12-01 00:00:00 UTC+8 (in 9h 24m)');
});
