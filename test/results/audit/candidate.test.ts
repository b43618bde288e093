import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { explain, type Signs, type Verdict } from '../../../src/results/audit/candidate.ts';
import type { Edge, Evidence } from '../../../src/ledger/audit/candidates.ts';

const CLEAR: Signs = { clocks: 'agree', absolute: true, strangers: 0, twins: 0 };

const edge = (owner: string, task: string, evidence: Evidence = 'time'): Edge => ({ owner, task, evidence });

function verdict(owner: string, edges: Edge[], signs: Partial<Signs> = {}): Verdict | undefined {
  return explain([owner], edges, { ...CLEAR, ...signs }).get(owner);
}

const settled = (task: string, evidence: Evidence = 'time'): Verdict => ({ kind: 'settled', task, evidence });

describe('an uncertain row', () => {
  test('is settled by the one task that fits it and no other row', () => {
    assert.deepEqual(verdict('a', [edge('a', 't')]), settled('t'));
    assert.deepEqual(verdict('a', [edge('a', 't'), edge('b', 'u')]), settled('t'));
  });

  test('that was attempted twice is settled by the one task that fits either attempt', () => {
    assert.deepEqual(verdict('a', [edge('a', 't'), edge('a', 't', 'prompt')]), settled('t', 'prompt'));
    assert.deepEqual(verdict('a', [edge('a', 't'), edge('a', 'u')]), { kind: 'ambiguous' });
  });

  test('stays open beside another row that the task fits too, though it has a task of its own', () => {
    const edges = [edge('a', 't'), edge('b', 't'), edge('b', 'u')];
    assert.deepEqual(verdict('a', edges), { kind: 'ambiguous' });
    assert.deepEqual(verdict('b', edges), { kind: 'ambiguous' });
  });

  test('without a task stays open: a list may be late', () => {
    assert.deepEqual(verdict('a', [edge('b', 't')]), { kind: 'none' });
  });

  test('is not settled by its time where another client is seen', () => {
    const unproven = { kind: 'unproven', task: 't', why: 'strangers' };
    assert.deepEqual(verdict('a', [edge('a', 't')], { strangers: 1 }), unproven);
    assert.deepEqual(verdict('a', [edge('a', 't', 'prompt')], { strangers: 1 }), settled('t', 'prompt'));
    assert.deepEqual(verdict('a', [edge('a', 't', 'request')], { strangers: 1 }), settled('t', 'request'));
  });

  test('is not settled by its prompt where another client sends the same prompts', () => {
    const signs = { strangers: 1, twins: 1 };
    const unproven = { kind: 'unproven', task: 't', why: 'twins' };
    for (const evidence of ['prompt', 'time'] as const)
      assert.deepEqual(verdict('a', [edge('a', 't', evidence)], signs), unproven);
    assert.deepEqual(verdict('a', [edge('a', 't', 'request')], signs), settled('t', 'request'));
  });

  test('is not settled by clocks that differ or are not known', () => {
    const unproven = { kind: 'unproven', task: 't', why: 'clocks' };
    assert.deepEqual(verdict('a', [edge('a', 't', 'prompt')], { clocks: 'differ' }), unproven);
    assert.deepEqual(verdict('a', [edge('a', 't')], { clocks: 'unseen' }), unproven);
    assert.deepEqual(
      verdict('a', [edge('a', 't', 'prompt')], { clocks: 'unseen', absolute: false }),
      unproven,
    );
    assert.deepEqual(verdict('a', [edge('a', 't', 'prompt')], { clocks: 'unseen' }), settled('t', 'prompt'));
    assert.deepEqual(
      verdict('a', [edge('a', 't', 'request')], { clocks: 'differ' }),
      settled('t', 'request'),
    );
  });

  test('is not settled by its prompt in a file of another account: tasks of others, and none that is known', () => {
    const signs = { clocks: 'unseen', strangers: 1 } as const;
    assert.equal(verdict('a', [edge('a', 't', 'prompt')], signs)?.kind, 'unproven');
    assert.deepEqual(verdict('a', [edge('a', 't', 'request')], signs), settled('t', 'request'));
  });
});

/** Rows of a few models that were in flight for a while, some of them accepted; the file may lack tasks. */
const world = fc
  .array(
    fc.record({
      model: fc.constantFrom('m', 'n', 'o'),
      from: fc.nat(2000),
      long: fc.integer({ min: 1, max: 60 }),
      /** When in its time it was accepted, 0-1; null: it was not. */
      accepted: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
      listed: fc.boolean(),
      asked: fc.boolean(),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((rows) => {
    const owners = rows.map((row, index) => ({ ...row, owner: `row-${index}`, to: row.from + row.long }));
    const tasks = owners.flatMap(({ owner, model, from, long, accepted, listed }) =>
      accepted === null || !listed ? [] : [{ task: `task-of-${owner}`, model, at: from + long * accepted }],
    );
    const edges = owners.flatMap(({ owner, model, from, to }) =>
      tasks
        .filter((task) => task.model === model && task.at >= from && task.at <= to)
        .map(({ task }) => edge(owner, task)),
    );
    return { owners, tasks, edges };
  });

test('for all accepted rows, no row is settled wrongly, and each row without another explanation is settled', () => {
  fc.assert(
    fc.property(world, ({ owners, edges }) => {
      const asked = owners.filter((row) => row.asked).map(({ owner }) => owner);
      const verdicts = explain(asked, edges, CLEAR);
      for (const [owner, found] of verdicts) {
        const mine = edges.filter((one) => one.owner === owner);
        const alone = mine.length === 1 && edges.filter(({ task }) => task === mine[0]?.task).length === 1;
        assert.equal(found.kind === 'settled', alone);
        if (found.kind === 'settled') assert.equal(found.task, `task-of-${owner}`);
      }
    }),
  );
});
