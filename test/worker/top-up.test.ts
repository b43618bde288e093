import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReadyBatch } from '../../src/ledger/send/ready.ts';
import { topUp, type Supply } from '../../src/worker/top-up.ts';
import type { Chunk } from '../../src/worker/queue/chunk.ts';

function batch(id: number, more: Partial<ReadyBatch> = {}): ReadyBatch {
  return {
    id,
    name: `batch-${id}`,
    rank: 0,
    alone: false,
    probing: false,
    halted: false,
    rows: 1000,
    full: false,
    ...more,
  };
}

function jobs(
  ready: readonly ReadyBatch[],
  { waiting = {}, ...supply }: Partial<Omit<Supply, 'waiting'>> & { waiting?: Record<number, number> } = {},
): Chunk[] {
  const queued = new Map(Object.entries(waiting).map(([id, rows]) => [Number(id), rows]));
  return topUp(ready, { size: 10, ahead: 40, waiting: queued, ...supply });
}

function told(chunks: readonly Chunk[]): string {
  return chunks.map(({ batch: id, rows }) => `${id}:${rows}`).join(' ');
}

describe('a queue is filled up', () => {
  const table: [name: string, chunks: Chunk[], expected: string][] = [
    ['with jobs for what it shall hold', jobs([batch(1)]), '1:10 1:10 1:10 1:10'],
    ['with a job that names its batch', jobs([batch(1, { rows: 3 })]), '1:3'],
    ['not beyond the rows of the batch', jobs([batch(1, { rows: 25 })]), '1:10 1:10 1:5'],
    ['with what is missing', jobs([batch(1)], { waiting: { 1: 25 } }), '1:10 1:10'],
    ['not when it is full', jobs([batch(1)], { waiting: { 1: 40 } }), ''],
    ['not for rows that have jobs', jobs([batch(1, { rows: 12 })], { waiting: { 1: 10 } }), '1:2'],
    ['not for nothing', jobs([]), ''],
    ['by the batches in turn', jobs([batch(1), batch(2)]), '1:10 2:10 1:10 2:10'],
    [
      'by the long batch alone once the short one has its jobs',
      jobs([batch(1), batch(2, { rows: 4 })]),
      '1:10 2:4 1:10 1:10 1:10',
    ],
    [
      'by the higher rank first',
      jobs([batch(1, { rank: 1, rows: 15 }), batch(2), batch(3, { rank: 1, rows: 10 })]),
      '1:10 3:10 1:5 2:10 2:10',
    ],
    [
      'with one row of a batch where only one may be in flight',
      jobs([batch(1, { alone: true }), batch(2, { rows: 5 })]),
      '1:1 2:5',
    ],
    ['with none of it while its job waits', jobs([batch(1, { alone: true })], { waiting: { 1: 1 } }), ''],
    [
      'with none of it while a worker has its job in hand',
      jobs([batch(1, { alone: true })], { waiting: { 1: 0 } }),
      '',
    ],
    ['by batches whose limits have room', jobs([batch(1, { full: true }), batch(2, { rows: 10 })]), '2:10'],
    [
      'with one row of each batch when no limit has room',
      jobs([batch(1, { full: true }), batch(2, { full: true })]),
      '1:1 2:1',
    ],
    [
      'with nothing more of them while their jobs wait',
      jobs([batch(1, { full: true })], { waiting: { 1: 1 } }),
      '',
    ],
  ];
  for (const [name, chunks, expected] of table) {
    test(name, () => assert.equal(told(chunks), expected));
  }

  test('with the name of each batch', () => {
    assert.deepEqual(jobs([batch(7, { rows: 2 })]), [{ batch: 7, name: 'batch-7', rows: 2 }]);
  });

  test('with a rank only where batches differ in it', () => {
    const rank = 5;
    assert.deepEqual(
      jobs([batch(1, { rank, rows: 1 })]).map((chunk) => chunk.rank),
      [undefined],
    );
    assert.deepEqual(
      jobs([batch(1, { rank, rows: 1 }), batch(2, { rows: 1 })]).map((chunk) => chunk.rank),
      [5, 0],
    );
  });
});

describe('while a halted provider is being probed', () => {
  const probing = { alone: true, probing: true };

  test('there is one job for one row, and no second job while it exists', () => {
    const ready = [batch(1, probing), batch(2, { ...probing, rank: 9 })];
    assert.equal(told(jobs(ready)), '1:1');
    assert.equal(told(jobs(ready, { waiting: { 2: 0 } })), '');
    assert.equal(told(jobs(ready, { waiting: { 3: 100 } })), '');
  });

  test('it is for a batch with a row that has not caused the halt, if there is one', () => {
    const bad = batch(1, { ...probing, halted: true });
    assert.equal(told(jobs([bad, batch(2, probing)])), '2:1');
    assert.equal(told(jobs([bad])), '1:1');
  });
});

const anyBatch = fc.record({
  rank: fc.integer({ min: -3, max: 3 }),
  alone: fc.boolean(),
  rows: fc.integer({ min: 1, max: 300 }),
  full: fc.boolean(),
});
const anyQueue = fc.record({
  ready: fc
    .array(anyBatch, { maxLength: 12 })
    .map((all) => all.map((one, n) => batch(n + 1, one)).toSorted((one, other) => other.rank - one.rank)),
  size: fc.integer({ min: 1, max: 100 }),
  ahead: fc.integer({ min: 1, max: 400 }),
  waiting: fc
    .array(fc.tuple(fc.integer({ min: 1, max: 14 }), fc.integer({ min: 0, max: 150 })), { maxLength: 8 })
    .map((all) => new Map(all)),
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function rowsOf(chunks: readonly Chunk[], id: number): number {
  return sum(chunks.filter((chunk) => chunk.batch === id).map(({ rows }) => rows));
}

describe('for any ready rows and any waiting jobs', () => {
  test('there are never jobs for more rows than the limit and one more job', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const chunks = topUp(ready, supply);
        const before = sum([...supply.waiting.values()]);
        const added = sum(chunks.map(({ rows }) => rows));
        assert.ok(added === 0 || before + added < supply.ahead + supply.size);
        assert.ok(chunks.every(({ rows }) => rows >= 1 && rows <= supply.size));
      }),
    );
  });

  test('a batch where only one may be in flight never has more than one job for one row', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const chunks = topUp(ready, supply);
        for (const { id } of ready.filter(({ alone }) => alone)) {
          const own = chunks.filter((chunk) => chunk.batch === id);
          assert.ok(own.length <= (supply.waiting.has(id) ? 0 : 1));
          assert.ok(own.every(({ rows }) => rows === 1));
        }
      }),
    );
  });

  test('no batch has jobs for more rows than it has', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const chunks = topUp(ready, supply);
        for (const { id, rows } of ready) {
          const added = rowsOf(chunks, id);
          assert.ok(added === 0 || (supply.waiting.get(id) ?? 0) + added <= Math.max(1, rows));
        }
      }),
    );
  });

  test('all jobs of a higher rank come before those of a lower one, which come when it has all that it can use', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const chunks = topUp(ready, supply);
        const ranks = chunks.map(({ batch: id }) => ready.find((one) => one.id === id)?.rank ?? NaN);
        assert.deepEqual(
          ranks,
          ranks.toSorted((one, other) => other - one),
        );
        const lowest = ranks.at(-1);
        if (lowest === undefined) return;
        const roomy = ready.some(({ full }) => !full);
        for (const one of ready) {
          if (one.rank <= lowest || one.alone || one.full || !roomy) continue;
          assert.ok((supply.waiting.get(one.id) ?? 0) + rowsOf(chunks, one.id) >= one.rows);
        }
      }),
    );
  });

  test('batches of a rank get as many rows, to within one job, unless one has no more', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const chunks = topUp(ready, supply);
        const plain = ready.filter(({ alone, full }) => !alone && !full);
        for (const one of plain) {
          const got = rowsOf(chunks, one.id);
          const isServed = (supply.waiting.get(one.id) ?? 0) + got >= one.rows;
          for (const other of plain) {
            if (isServed || other.rank !== one.rank) continue;
            assert.ok(rowsOf(chunks, other.id) - got <= supply.size);
          }
        }
      }),
    );
  });

  test('while a halted provider is being probed, there is at most one job', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const probing = ready.map((one) => ({ ...one, alone: true, probing: true }));
        const chunks = topUp(probing, supply);
        assert.ok(chunks.length <= (supply.waiting.size > 0 ? 0 : 1));
        assert.ok(chunks.every(({ rows }) => rows === 1));
      }),
    );
  });

  test('what is added is enough: a second look adds nothing', () => {
    fc.assert(
      fc.property(anyQueue, ({ ready, ...supply }) => {
        const chunks = topUp(ready, supply);
        const waiting = new Map(supply.waiting);
        for (const { batch: id, rows } of chunks) waiting.set(id, (waiting.get(id) ?? 0) + rows);
        assert.deepEqual(topUp(ready, { ...supply, waiting }), []);
      }),
    );
  });
});
