import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unaskedPlaces } from '../../../src/results/poll/polling.ts';

test('limits that no process frees are reported', () => {
  const limits = [
    { model: '', intervalMs: 100 },
    { model: 'viduq3p-1080p', inFlight: 2 },
  ];
  assert.match(unaskedPlaces({ limits, pollConcurrency: 0 }) ?? '', /--poll-concurrency 0 polls no task/);
  assert.equal(unaskedPlaces({ limits, pollConcurrency: 4 }), undefined);
  assert.equal(unaskedPlaces({ limits: [{ model: '', intervalMs: 100 }], pollConcurrency: 0 }), undefined);
  assert.equal(unaskedPlaces({ pollConcurrency: 0 }), undefined);
});
