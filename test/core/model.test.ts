import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isKnownModel, isMix, isOffPeak, knownModels } from '../../src/core/model.ts';

it('the known models are the whole grammar', () => {
  assert.equal(knownModels.length, 24);
  assert.equal(new Set(knownModels).size, 24);
  // Those that the contract page names.
  for (const family of ['viduq3p', 'viduq3t']) {
    for (const resolution of ['540p', '720p', '1080p']) assert.ok(isKnownModel(`${family}-${resolution}`));
  }
  assert.ok(isKnownModel('viduq3p-1080p-offpeak') && isKnownModel('viduq3p-mix-720p'));
  assert.ok(!isKnownModel('viduq3p-720p ') && !isKnownModel('viduq3-720p'));
});

it('off-peak and mix are read from the name', () => {
  assert.equal(knownModels.filter(isOffPeak).length, 12);
  assert.equal(knownModels.filter(isMix).length, 12);
  assert.ok(isOffPeak('viduq3p-mix-720p-offpeak') && isMix('viduq3p-mix-720p-offpeak'));
  assert.ok(!isOffPeak('viduq3p-720p') && !isMix('viduq3p-remix-720p'));
});
