import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { OutcomeKind } from '../../../src/core/outcome.ts';
import { sameKeyOf } from '../../../src/core/retry-policy.ts';
import { STATES, type State } from '../../../src/core/states.ts';
import { isLegal } from '../../core/moves.ts';
import { decide } from '../../../src/ledger/send/decide/decide.ts';
import type { BatchFacts, Facts, ProviderFacts, RowFacts } from '../../../src/ledger/send/decide/facts.ts';
import { rowChange, taskIdOf } from '../../../src/ledger/send/decide/row.ts';
import type { Result } from '../../../src/ledger/send/result.ts';
import { outcomeOf } from '../../contract/rows.ts';

const NOW = Date.UTC(2026, 2, 4);
const ORIGIN = 'https://api.example';
const KINDS: readonly OutcomeKind[] = [
  'accepted',
  'rejected',
  'throttled',
  'not-sent',
  'halted',
  'uncertain',
  'invalid',
];
const LEAVE = sameKeyOf({ providerIdempotent: true });

/** A row of which attempt `n` is the last one. */
function rowOf(id: number, n: number, more: Partial<RowFacts> = {}): RowFacts {
  return {
    id,
    batchId: 1,
    key: `k${id}`,
    state: 'submitting',
    attemptId: `${id}.${n}`,
    contentHash: 'now',
    spent: 0,
    refusals: 0,
    haltedAt: null,
    doubtful: false,
    taskId: null,
    unknown: [],
    taskIds: [],
    ...more,
  };
}

function factsOf(
  rows: readonly RowFacts[],
  { batch = {}, provider = {} }: { batch?: Partial<BatchFacts>; provider?: Partial<ProviderFacts> } = {},
): Facts {
  const attempts = rows.flatMap((row) =>
    [1, 2].map((number) => ({
      id: `${row.id}.${number}`,
      submissionId: row.id,
      number,
      origin: ORIGIN,
      epoch: 0,
      contentHash: number === 1 && row.id % 2 === 0 ? 'before' : 'now',
      claimedAt: NOW - 1000,
    })),
  );
  return {
    now: NOW,
    attempts,
    rows: new Map(rows.map((row) => [row.id, row])),
    batches: new Map([
      [
        1,
        {
          id: 1,
          locked: true,
          state: 'active',
          proven: true,
          canary: null,
          failShare: null,
          canaryRows: null,
          canaries: 0,
          countedSince: 0,
          succeeded: 0,
          failed: 0,
          ...batch,
        },
      ],
    ]),
    providers: new Map([
      [
        ORIGIN,
        {
          origin: ORIGIN,
          locked: true,
          state: 'open',
          epoch: 0,
          probe: null,
          throttledUntil: -Infinity,
          throttledSince: null,
          throttleRaised: -Infinity,
          throttleLevel: 0,
          uncertainStreak: 0,
          unreachedStreak: 0,
          unreachedSince: null,
          everThere: true,
          liftedAt: null,
          ...provider,
        },
      ],
    ]),
  };
}

function answer(
  attemptId: string,
  kind: OutcomeKind,
  more: Partial<Result> & { taskId?: string } = {},
): Result {
  const { taskId = `task of ${attemptId}`, ...rest } = more;
  return { attemptId, outcome: outcomeOf(kind, { taskId }), waitMs: 1000, maxAttempts: 3, ...rest };
}

describe('what an answer means for a row that waits for it', () => {
  const table: [string, OutcomeKind, Partial<RowFacts>, Partial<BatchFacts>, State][] = [
    ['accepted', 'accepted', {}, {}, 'submitted'],
    ['refused for what it says', 'rejected', {}, {}, 'rejected'],
    ['throttled', 'throttled', {}, {}, 'pending'],
    ['not sent', 'not-sent', {}, {}, 'pending'],
    ['not sent, for the last time', 'not-sent', { spent: 2 }, {}, 'exhausted'],
    ['halted', 'halted', {}, {}, 'pending'],
    ['nobody knows', 'uncertain', {}, {}, 'uncertain'],
    ['against a rule', 'invalid', {}, {}, 'invalid'],
    ['against a rule, while an earlier attempt may be accepted', 'invalid', inDoubt(), {}, 'uncertain'],
    ['not sent, of a cancelled batch', 'not-sent', {}, { state: 'cancelled' }, 'cancelled'],
    ['accepted, of a cancelled batch', 'accepted', {}, { state: 'cancelled' }, 'submitted'],
    ['refused, while an earlier attempt may be accepted', 'rejected', inDoubt(), {}, 'uncertain'],
    ['not sent, while an earlier attempt may be accepted', 'not-sent', inDoubt(), {}, 'uncertain'],
    ['accepted late', 'accepted', { state: 'uncertain' }, {}, 'submitted'],
    ['accepted, though the row was refused since', 'accepted', { state: 'rejected' }, {}, 'submitted'],
    ['not sent, though the row was given up since', 'not-sent', { state: 'abandoned' }, {}, 'abandoned'],
  ];
  for (const [name, kind, row, batch, expected] of table) {
    test(`${name}: ${expected}`, () => {
      const facts = factsOf([rowOf(1, 2, row)], { batch });
      assert.equal(decide(facts, [answer('1.2', kind)]).rows[0]?.next, expected);
    });
  }

  test('a second halt by a row whose first halt was lifted: the row is rejected', () => {
    const facts = factsOf([rowOf(1, 2, { haltedAt: NOW - 5000 })], { provider: { liftedAt: NOW - 4000 } });
    const { rows, providers } = decide(facts, [answer('1.2', 'halted')]);
    assert.equal(rows[0]?.next, 'rejected');
    assert.deepEqual(providers, []);
  });
});

function inDoubt(): Partial<RowFacts> {
  return { doubtful: true, unknown: ['1.1'] };
}

/** Rows in any state, and answers to any of their attempts. */
const cases = fc.record({
  rows: fc.array(
    fc.record({
      state: fc.constantFrom(...STATES),
      last: fc.constantFrom(1, 2),
      doubtful: fc.boolean(),
      spent: fc.constantFrom(0, 1, 2),
      halted: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  answers: fc.uniqueArray(
    fc.record({
      row: fc.constantFrom(1, 2, 3),
      number: fc.constantFrom(1, 2),
      kind: fc.constantFrom(...KINDS),
      task: fc.constantFrom('a', 'b'),
      leave: fc.boolean(),
    }),
    { selector: ({ row, number }) => `${row}.${number}`, minLength: 1, maxLength: 6 },
  ),
  cancelled: fc.boolean(),
  locked: fc.boolean(),
});

function caseOf({
  rows,
  answers,
  cancelled,
  locked,
}: typeof cases extends fc.Arbitrary<infer C> ? C : never): {
  facts: Facts;
  results: Result[];
} {
  const made = rows.map(({ state, last, doubtful, spent, halted }, n) => {
    const isDoubtful = doubtful && ['pending', 'submitting', 'uncertain'].includes(state);
    const unknown = isDoubtful ? [`${n + 1}.${3 - last}`] : [];
    const taskId = state === 'submitted' ? `task ${n + 1} a` : null;
    return rowOf(n + 1, last, {
      state,
      taskId,
      taskIds: taskId === null ? [] : [taskId],
      doubtful: isDoubtful,
      spent,
      unknown,
      haltedAt: halted ? NOW - 9000 : null,
    });
  });
  const facts = factsOf(made, {
    batch: { state: cancelled ? 'cancelled' : 'active', locked, proven: false, failShare: 0.5 },
    provider: { locked, liftedAt: NOW - 8000 },
  });
  const results = answers.map(({ row, number, kind, task, leave }) =>
    answer(`${row}.${number}`, kind, {
      taskId: `task ${row} ${task}`,
      ...(leave && LEAVE !== undefined ? { sameKey: LEAVE } : {}),
    }),
  );
  return { facts, results };
}

describe('any answers to any attempts', () => {
  const always = (name: string, holds: (facts: Facts, results: Result[]) => void): void => {
    test(name, () => {
      fc.assert(
        fc.property(cases, (one) => {
          const { facts, results } = caseOf(one);
          holds(facts, results);
        }),
        { numRuns: 2000 },
      );
    });
  };

  always('a row moves only where it may, and one answer moves it', (facts, results) => {
    const movers = decide(facts, results).rows.filter(({ decides }) => decides);
    for (const { row, next } of movers) {
      assert.ok(next === row.state || isLegal(row.state, next), `${row.state} → ${next}`);
    }
    assert.equal(new Set(movers.map(({ row }) => row.id)).size, movers.length);
  });

  always('a task id is kept: by its row, or as a second task', (facts, results) => {
    const { rows } = decide(facts, results);
    const kept = new Map(
      rows.filter(({ decides }) => decides).map((one) => [one.row.id, rowChange(one, NOW).taskId]),
    );
    for (const one of rows) {
      const taskId = taskIdOf(one);
      if (taskId === undefined) continue;
      assert.ok(one.surplus || one.known || kept.get(one.row.id) === taskId, `${taskId} is dropped`);
    }
  });

  always('a row of which nobody knows goes again only by leave, and with attempts left', (facts, results) => {
    for (const { decides, next, result, doubt, row, cost } of decide(facts, results).rows) {
      const isUnknown = result.outcome.kind === 'uncertain' || doubt !== undefined;
      if (!decides || next !== 'pending' || !isUnknown) continue;
      assert.ok(result.sameKey !== undefined);
      assert.ok(row.spent + cost < result.maxAttempts);
    }
  });

  always('no refusal settles a row that may have been paid, and its key stays', (facts, results) => {
    for (const one of decide(facts, results).rows) {
      if (!one.decides || one.doubt === undefined) continue;
      assert.ok(['pending', 'uncertain', 'submitted'].includes(one.next), one.next);
      assert.equal(rowChange(one, NOW).refusals, one.row.refusals);
    }
  });

  always('the order in which answers come changes nothing', (facts, results) => {
    const plain = (decision: ReturnType<typeof decide>): unknown =>
      decision.rows.map(({ attempt, next, decides, surplus, known }) => ({
        id: attempt.id,
        next,
        decides,
        surplus,
        known,
      }));
    assert.deepEqual(plain(decide(facts, results.toReversed())), plain(decide(facts, results)));
  });

  always('what is not locked does not change', (facts, results) => {
    const { batches, providers } = decide(facts, results);
    for (const { id } of batches) assert.ok(facts.batches.get(id)?.locked);
    for (const { origin } of providers) assert.ok(facts.providers.get(origin)?.locked);
  });
});
