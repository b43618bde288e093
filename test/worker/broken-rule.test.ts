import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokenRule } from '../../src/worker/broken-rule.ts';

const BODY = { model: 'viduq3p-720p', prompt: 'a red fox', duration: 5 };

test('a request that breaks no rule may be sent', () => {
  assert.equal(brokenRule(JSON.stringify(BODY), []), undefined);
  // A person agreed to it when the manifest was read.
  assert.equal(brokenRule(JSON.stringify({ ...BODY, prompt: '{{ prompt }}' }), []), undefined);
});

test('one that breaks a rule names the field, the rule and the value', () => {
  const broken = brokenRule(JSON.stringify({ ...BODY, duration: 99 }), []);
  assert.deepEqual(broken, {
    phase: 'connecting',
    code: 'duration-range',
    message: 'not sent: duration 99 is not between 1 and 16',
  });
});

test('a model counts for as long as the configuration allows it', () => {
  const request = JSON.stringify({ ...BODY, model: 'own-model' });
  assert.equal(brokenRule(request, ['own-model']), undefined);
  assert.equal(brokenRule(request, [])?.code, 'model-unknown');
});

test('what is no request at all is not sent either', () => {
  for (const request of ['', '{', 'null', '[]', '5']) assert.ok(brokenRule(request, []), request);
});
