import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterOf, reasonOf, wordOf } from '../../src/cli/resolve-flags.ts';
import { VidbatchError } from '../../src/core/errors.ts';

function refuses(call: () => unknown, code: string): void {
  assert.throws(
    call,
    (error) => error instanceof VidbatchError && error.code === code && error.exitCode === 2,
  );
}

test('one thing is said of a row', () => {
  assert.deepEqual(wordOf({ taskId: ' task_1 ' }), { kind: 'task-id', taskId: 'task_1' });
  assert.deepEqual(wordOf({ notSent: true }), { kind: 'not-sent' });
  assert.deepEqual(wordOf({ abandon: true }), { kind: 'abandon' });
  for (const flags of [{}, { notSent: true, abandon: true }, { taskId: 't', notSent: true }])
    refuses(() => wordOf(flags), 'ONE_WORD');
  for (const taskId of ['', ' ', 'a\0b', 'x'.repeat(513)]) refuses(() => wordOf({ taskId }), 'BAD_TASK_ID');
});

test('a reason is always given', () => {
  assert.equal(reasonOf({ reason: ' not in their list ' }), 'not in their list');
  for (const flags of [{}, { reason: '' }, { reason: '  ' }]) refuses(() => reasonOf(flags), 'NO_REASON');
});

test('rows are named by a key, or chosen by filters, and never by leaving both out', () => {
  assert.equal(filterOf('k', {}), undefined);
  assert.deepEqual(filterOf(undefined, { all: true }), {});
  assert.deepEqual(filterOf(undefined, { errorCode: 'ECONNRESET', httpStatus: '502', phase: 'none' }), {
    errorCode: 'ECONNRESET',
    httpStatus: 502,
    phase: 'none',
  });
  refuses(() => filterOf(undefined, {}), 'NO_ROWS_NAMED');
  refuses(() => filterOf('k', { all: true }), 'KEY_AND_FILTER');
  refuses(() => filterOf('k', { httpStatus: '502' }), 'KEY_AND_FILTER');
  refuses(() => filterOf(undefined, { httpStatus: '5xx' }), 'BAD_NUMBER');
  refuses(() => filterOf(undefined, { phase: 'begun' }), 'BAD_PHASE');
});

test('a time is UTC unless it says otherwise', () => {
  const after = (text: string): string | undefined =>
    filterOf(undefined, { after: text })?.after?.toISOString();
  assert.equal(after('2026-03-01'), '2026-03-01T00:00:00.000Z');
  assert.equal(after('2026-03-01 18:00'), '2026-03-01T18:00:00.000Z');
  assert.equal(after('2026-03-01T18:00:30.5Z'), '2026-03-01T18:00:30.500Z');
  assert.equal(after('2026-03-01T18:00+08:00'), '2026-03-01T10:00:00.000Z');
  for (const text of ['', 'yesterday', '5', '2026', '2026-13-01', '2026-03-01T25:00', '01/03/2026'])
    refuses(() => filterOf(undefined, { before: text }), 'BAD_TIME');
});
