import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockedBy, type BatchFacts, type Blocked } from '../../../src/ledger/send/blocked.ts';
import type { Limit } from '../../../src/core/rate/rate-limits.ts';

type Group = BatchFacts['groups'][number];

const due: Group = { dueMs: -5, gate: null, aheadMs: null, full: false };
const later: Group = { ...due, dueMs: 40_000.2 };
const shut: Group = { ...due, gate: 'window' };
const slow: Group = { ...due, aheadMs: 10_000 };
const full: Group = { ...due, full: true };

const RATE: readonly Limit[] = [{ model: '', intervalMs: 10_000 }];

function facts(groups: Group[], more: Partial<BatchFacts> = {}): BatchFacts {
  return { gate: null, throttledMs: 0, groups, ...more };
}

const table: [name: string, facts: BatchFacts, blocked: Blocked][] = [
  ['a gate of the batch comes first', facts([due], { gate: 'paused' }), { reason: 'paused' }],
  [
    'a throttle tells how long it lasts, in whole milliseconds',
    facts([due], { gate: 'throttled', throttledMs: 1234.5 }),
    { reason: 'throttled', waitMs: 1235 },
  ],
  [
    'a throttle that is just over still tells of a wait',
    facts([due], { gate: 'throttled', throttledMs: 0 }),
    { reason: 'throttled', waitMs: 1 },
  ],
  ['without a pending row there is nothing', facts([]), { reason: 'nothing' }],
  ['all rows wait for their window', facts([shut, shut]), { reason: 'window' }],
  [
    'the window of some rows does not hide when the others are due',
    facts([shut, later, { ...later, dueMs: 30_000 }]),
    { reason: 'not-due', waitMs: 30_000 },
  ],
  ['rows that are not due tell when the first one is', facts([later]), { reason: 'not-due', waitMs: 40_001 }],
  ['rows that might be sent are held by another worker', facts([due]), { reason: 'busy' }],
  ['also beside rows that wait for a slot', facts([slow, due]), { reason: 'busy' }],
  // In the middle of the time for which slots are given out: half of 300 ms earlier.
  ['rows wait for the next slot under their rate', facts([slow]), { reason: 'rate', waitMs: 9_850 }],
  [
    'the sooner slot of two models counts',
    facts([slow, { ...slow, aheadMs: 5_000 }]),
    { reason: 'rate', waitMs: 4_850 },
  ],
  ['a slot that is near enough is no wait', facts([{ ...slow, aheadMs: 300 }]), { reason: 'busy' }],
  ['rows wait for a task to end', facts([full]), { reason: 'in-flight', waitMs: 60 }],
  [
    'rows of which some wait for a slot and some for a task to end wait for a slot',
    facts([full, slow]),
    { reason: 'rate', waitMs: 60 },
  ],
  [
    'rows that are not due do not count beside those that are',
    facts([full, later]),
    { reason: 'in-flight', waitMs: 60 },
  ],
];

for (const [name, given, expected] of table) {
  test(`why no row is claimed: ${name}`, () => {
    assert.deepEqual(blockedBy(given, RATE), expected);
  });
}

test('where the rate is being found, a slot has to be nearer', () => {
  const found: readonly Limit[] = [{ model: '', intervalMs: 'auto' }];
  assert.deepEqual(blockedBy(facts([{ ...slow, aheadMs: 300 }]), found), { reason: 'rate', waitMs: 225 });
});
