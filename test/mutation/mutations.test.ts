import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { applyMutation } from './mutate.ts';
import { MUTATIONS } from './mutations.ts';

test('every guard that a mutation takes out is in the source exactly once', () => {
  for (const mutation of Object.values(MUTATIONS)) {
    const source = readFileSync(new URL(`../../src/${mutation.file}`, import.meta.url), 'utf8');
    assert.notEqual(applyMutation(source, mutation), source);
  }
});

test('a mutation that no longer fits the source is an error, not a pass', () => {
  const gone = { file: 'worker/submit.ts', from: 'a guard that was renamed', to: '', breaks: 'nothing' };
  assert.throws(() => applyMutation('const source = 1;', gone), /src\/worker\/submit\.ts holds 0 times/);
});
