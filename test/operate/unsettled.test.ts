import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellUtc } from '../../src/core/time/tell-time.ts';
import { formatUnsettled } from '../../src/operate/unsettled.ts';

test('a surplus task is shown with the task of its row, or with the fact that the row has no task', () => {
  const row = {
    kind: 'surplus',
    submissionId: 1,
    batch: 'b',
    source: '/m.csv',
    key: 'k1',
    line: 2,
    request: '{}',
    refusals: 0,
    attempts: 2,
    taskId: 'own',
    surplus: ['late'],
    attempt: null,
  } as const;
  const told = (taskId: string | null): string =>
    formatUnsettled({ ...row, surplus: ['late'], taskId }, 'ledger', tellUtc).split('\n')[0] ?? '';
  assert.equal(told('own'), 'b k1: PAID TWICE: task own and late');
  assert.equal(told(null), 'b k1: PAID BESIDE THE ROW, which has no task now: task late');
});
