import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configuredModels, modelsOf } from '../../../src/provider/profile/models.ts';

test('the default profile knows the whole grammar of the contract page', () => {
  const { names, entryOf } = modelsOf();
  assert.equal(new Set(names).size, 24);
  for (const family of ['viduq3p', 'viduq3t']) {
    for (const resolution of ['540p', '720p', '1080p']) {
      assert.deepEqual(entryOf(`${family}-${resolution}`)?.references, { from: 0, to: 0 });
      assert.deepEqual(entryOf(`${family}-mix-${resolution}-offpeak`)?.references, { from: 1, to: 7 });
    }
  }
  for (const other of ['viduq3p-720p ', 'viduq3-720p', 'viduq3p-mix', ''])
    assert.equal(entryOf(other), undefined, other);
});

test('a name alone is a hint', () => {
  const { hintOf } = modelsOf();
  for (const mix of ['mix', 'mix-4', 'q4-mix', 'q4-mix-720p'])
    assert.equal(hintOf(mix)?.references?.from, 1, mix);
  for (const other of ['viduq3p-remix-720p', 'q4'])
    assert.deepEqual(hintOf(other)?.references, { from: 0, to: 0 }, other);
});

test('a limit may be for a model that the configuration adds', () => {
  const { knows } = configuredModels({ models: ['own'] });
  assert.ok(knows('own') && knows('viduq3p-720p') && !knows('mix'));
});
