import assert from 'node:assert/strict';
import { test } from 'node:test';
import { raiseHint } from '../../src/batch/budget.ts';
import { nextStep } from '../../src/core/next-step.ts';
import { STATES } from '../../src/core/states.ts';

test('commands that are shown name a batch and a file as a shell takes them', () => {
  const row = { batch: "anna's films", key: 'shot 1', queued: false, deadline: null };
  for (const state of STATES) {
    for (const providerStatus of ['queued', 'completed', 'failed', 'missing'] as const) {
      const step = nextStep({ ...row, state, providerStatus });
      assert.ok(!step.includes(row.batch), `${state}: ${step}`);
    }
  }
  assert.match(
    nextStep({ ...row, state: 'exhausted', providerStatus: null }),
    /^`vidbatch retry 'anna'\\''s films'`$/,
  );
  assert.match(
    raiseHint({ name: 'my films', source: '/home/anna/my films.csv' }),
    /^`vidbatch run '\/home\/anna\/my films\.csv' --batch 'my films' --budget …`/,
  );
});
