import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isOffPeak } from '../../src/core/model.ts';

it('off-peak is read from the end of the name', () => {
  assert.ok(isOffPeak('viduq3p-mix-720p-offpeak') && isOffPeak('another-model-offpeak'));
  assert.ok(!isOffPeak('viduq3p-720p') && !isOffPeak('viduq3p-offpeak-720p'));
});
