import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Recorded } from '../../src/ledger/send/result.ts';
import { failureOf, formatLog, resultOf, tookRows } from '../../src/worker/chunk-report.ts';
import type { OutcomeKind } from '../../src/core/outcome.ts';
import type { State } from '../../src/core/states.ts';
import type { Settled } from '../../src/worker/submit.ts';
import { outcomeOf } from '../contract/rows.ts';

const STATES: Record<OutcomeKind, State> = {
  accepted: 'submitted',
  rejected: 'rejected',
  throttled: 'pending',
  'not-sent': 'pending',
  halted: 'pending',
  uncertain: 'uncertain',
  invalid: 'invalid',
};

function settled(
  kind: OutcomeKind,
  {
    key = 'k',
    message = `was ${kind}`,
    code = `code_${kind}`,
    ...more
  }: Partial<Pick<Recorded, 'state' | 'surplus'> & Record<'key' | 'message' | 'code', string>> = {},
): Settled {
  return {
    kind: 'settled',
    claim: { key, number: 1, attemptId: 'a' } as Claim,
    outcome: outcomeOf(kind, { taskId: `task_${key}`, message, code }),
    recorded: {
      attemptId: 'a',
      state: STATES[kind],
      moved: true,
      surplus: false,
      known: false,
      halted: kind === 'halted',
      ...more,
    },
    waitMs: 0,
  };
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

describe('the rows that a job shows', () => {
  test('have their key and the beginning of their prompt, in the order in which they were claimed', () => {
    const claims = [
      { submissionId: 1, key: 'a', request: '{"model":"m","prompt":"a cat"}' },
      { submissionId: 2, key: 'b', request: '{"model":"m"}' },
      { submissionId: 3, key: 'c', request: `{"prompt":"${'long '.repeat(100)}"}` },
    ];
    const took = tookRows(claims);
    assert.deepEqual(took.slice(0, 2), [
      { key: 'a', prompt: 'a cat' },
      { key: 'b', prompt: '' },
    ]);
    assert.ok((took[2]?.prompt.length ?? 0) <= 80 && took[2]?.prompt.startsWith('long long '));
  });

  test('are as many as fit: the data of a job stays below a kilobyte, in any script', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            key: fc.string({ unit: 'binary', maxLength: 200 }),
            prompt: fc.string({ unit: 'binary', maxLength: 400 }),
          }),
          { maxLength: 100 },
        ),
        (rows) => {
          const took = tookRows(
            rows.map(({ key, prompt }, n) => ({ submissionId: n, key, request: JSON.stringify({ prompt }) })),
          );
          assert.ok(took.length > 0 || rows.length === 0);
          assert.ok(bytesOf({ batch: Number.MAX_SAFE_INTEGER, rows: 100, took, failed: true }) < 1024);
        },
      ),
    );
    const wide = Array.from({ length: 100 }, (_, n) => ({
      submissionId: n,
      key: `钥${n}`,
      request: JSON.stringify({ prompt: '长'.repeat(5_000) }),
    }));
    assert.ok(bytesOf({ batch: 1, rows: 100, took: tookRows(wide) }) < 1024);
  });
});

describe('what a job leaves behind', () => {
  test('counts its rows by their results, and says why it took no more', () => {
    const all = [settled('accepted'), settled('accepted'), settled('throttled')];
    assert.deepEqual(resultOf({ settled: all, errors: [], blocked: { reason: 'window' } }), {
      rows: 3,
      submitted: 2,
      pending: 1,
      'no more rows': 'window',
    });
    assert.deepEqual(resultOf({ settled: [], errors: [] }), { rows: 0 });
  });

  test('has a line for each row', () => {
    const text = formatLog({
      settled: [
        settled('accepted', { key: 'one' }),
        settled('rejected', { key: 'two', message: 'bad\nprompt' }),
      ],
    });
    assert.deepEqual(text.split('\n'), [
      'one: accepted as task task_one',
      'two: rejected (code_rejected): bad prompt',
    ]);
  });

  test('says what an outcome means for its row, where that is another word', () => {
    const settledRows = [
      settled('throttled'),
      settled('not-sent', { state: 'exhausted', message: 'refused' }),
    ];
    assert.deepEqual(formatLog({ settled: settledRows }).split('\n'), [
      'k: throttled, the row is pending (code_throttled): was throttled',
      'k: not-sent, the row is exhausted (code_not-sent): refused',
    ]);
  });

  test('calls each row by the name that it is given', () => {
    const report = { settled: [settled('rejected')], errors: [] };
    const nameOf = (): string => 'line 7';
    assert.match(formatLog(report, nameOf), /^line 7: rejected/);
    assert.match(failureOf(report, nameOf) ?? '', /^line 7: rejected/);
    assert.equal(tookRows([{ submissionId: 1, key: 'k', request: '{}' }], nameOf)[0]?.key, 'line 7');
  });

  test('stays below 8 KB, and says how many rows are not in it', () => {
    const many = Array.from({ length: 100 }, (_, n) =>
      settled('rejected', { key: `${n}`, message: '错'.repeat(1000) }),
    );
    const text = formatLog({ settled: many });
    assert.ok(Buffer.byteLength(text) < 8192, `${Buffer.byteLength(text)} bytes`);
    const lines = text.split('\n');
    assert.equal(lines.at(-1), `${100 - (lines.length - 1)} more rows: see the ledger`);
  });
});

describe('a job has failed', () => {
  const bad: [name: string, one: Settled][] = [
    ['rejected', settled('rejected')],
    ['uncertain', settled('uncertain')],
    ['exhausted', settled('not-sent', { state: 'exhausted' })],
  ];
  for (const [name, one] of bad) {
    test(`when a row was ${name}, and says so in words`, () => {
      const reason = failureOf({ settled: [settled('accepted'), one], errors: [] });
      assert.match(reason ?? '', /^1 of 2 rows needs a look; k: /);
    });
  }

  test('when a row has a second task, and says so', () => {
    const reason = failureOf({ settled: [settled('accepted', { surplus: true })], errors: [] });
    assert.equal(reason, 'k: accepted as task task_k, beside another task of the row: it was paid twice');
  });

  test('when a row was not recorded', () => {
    const reason = failureOf({ settled: [], errors: [new Error('unknown attempt')] });
    assert.equal(reason, '1 row is not recorded: Error: unknown attempt; the next start settles it');
  });

  test('but not when its rows were accepted or are tried again', () => {
    const all = (['accepted', 'throttled', 'not-sent', 'halted'] as const).map((kind) => settled(kind));
    assert.equal(failureOf({ settled: all, errors: [] }), undefined);
    assert.equal(failureOf({ settled: [], errors: [], blocked: { reason: 'budget' } }), undefined);
  });
});

test('every queue can store every text of a provider, and the text is short', () => {
  const text = fc.string({ unit: 'binary', maxLength: 700 });
  fc.assert(
    fc.property(text, text, text, (key, message, code) => {
      const one = settled('rejected', { key, message, code });
      const report = { settled: [one], errors: [new Error(message)] };
      const log = formatLog(report);
      const reason = failureOf(report) ?? '';
      assert.ok(reason.length <= 500 && !log.includes('\n'));
      const took = tookRows([{ submissionId: 1, key, request: JSON.stringify({ prompt: message }) }]);
      for (const stored of [log, reason, ...took.flatMap((row) => [row.key, row.prompt])]) {
        assert.ok(stored.isWellFormed() && !stored.includes('\0'));
      }
    }),
  );
});
