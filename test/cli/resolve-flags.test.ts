import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFilter, parseReason, parseDecision } from '../../src/cli/trouble/resolve-flags.ts';
import { VidbatchError } from '../../src/core/errors.ts';

function refuses(call: () => unknown, code: string): void {
  assert.throws(
    call,
    (error) => error instanceof VidbatchError && error.code === code && error.exitCode === 2,
  );
}

test('exactly one decision is given for a row', () => {
  assert.deepEqual(parseDecision({ taskId: ' task_1 ' }), { kind: 'task-id', taskId: 'task_1' });
  assert.deepEqual(parseDecision({ notSent: true }), { kind: 'not-sent' });
  assert.deepEqual(parseDecision({ abandon: true }), { kind: 'abandon' });
  for (const flags of [{}, { notSent: true, abandon: true }, { taskId: 't', notSent: true }])
    refuses(() => parseDecision(flags), 'ONE_WORD');
  for (const taskId of ['', ' ', 'a\0b', 'x'.repeat(513)])
    refuses(() => parseDecision({ taskId }), 'BAD_TASK_ID');
});

test('a reason is always given', () => {
  assert.equal(parseReason({ reason: ' not in their list ' }), 'not in their list');
  for (const flags of [{}, { reason: '' }, { reason: '  ' }]) refuses(() => parseReason(flags), 'NO_REASON');
});

test('rows are named by a key, or chosen by filters, and never by leaving both out', () => {
  assert.equal(parseFilter('k', {}), undefined);
  assert.deepEqual(parseFilter(undefined, { all: true }), {});
  assert.deepEqual(parseFilter(undefined, { errorCode: 'ECONNRESET', httpStatus: '502', phase: 'none' }), {
    errorCode: 'ECONNRESET',
    httpStatus: 502,
    phase: 'none',
  });
  assert.deepEqual(parseFilter(undefined, { errorCode: 'none', httpStatus: 'none' }), {
    errorCode: null,
    httpStatus: null,
  });
  refuses(() => parseFilter(undefined, {}), 'NO_ROWS_NAMED');
  refuses(() => parseFilter('k', { all: true }), 'KEY_AND_FILTER');
  refuses(() => parseFilter('k', { httpStatus: '502' }), 'KEY_AND_FILTER');
  refuses(() => parseFilter(undefined, { httpStatus: '5xx' }), 'BAD_NUMBER');
  refuses(() => parseFilter(undefined, { phase: 'begun' }), 'BAD_PHASE');
});

test('a time is UTC unless it says otherwise', () => {
  const after = (text: string): string | undefined =>
    parseFilter(undefined, { after: text })?.after?.toISOString();
  assert.equal(after('2026-03-01'), '2026-03-01T00:00:00.000Z');
  assert.equal(after('2026-03-01 18:00'), '2026-03-01T18:00:00.000Z');
  assert.equal(after('2026-03-01T18:00:30.5Z'), '2026-03-01T18:00:30.500Z');
  assert.equal(after('2026-03-01T18:00+08:00'), '2026-03-01T10:00:00.000Z');
  for (const text of ['', 'yesterday', '5', '2026', '2026-13-01', '2026-03-01T25:00', '01/03/2026'])
    refuses(() => parseFilter(undefined, { before: text }), 'BAD_TIME');
});
