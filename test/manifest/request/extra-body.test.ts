import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mix, read, rulesOf, text } from './reading.ts';

describe('extra_body', () => {
  const withExtra = (extra_body: unknown) => read({ ...text, extra_body });

  it('holds a boolean audio, a boolean bgm and a seed', () => {
    assert.deepEqual(withExtra({ audio: true, bgm: false, seed: 2147483647 }).request?.extra_body, {
      audio: true,
      bgm: false,
      seed: 2147483647,
    });
    assert.deepEqual(rulesOf(withExtra({ audio: 'true' })), ['error audio-type']);
    assert.deepEqual(rulesOf(withExtra({ bgm: 1 })), ['error bgm-type']);
    assert.deepEqual(rulesOf(withExtra({ seed: -1 })), ['error seed-range']);
    assert.deepEqual(rulesOf(withExtra({ seed: 2147483648 })), ['error seed-range']);
    assert.deepEqual(rulesOf(withExtra({ seed: '42' })), ['error seed-type']);
    assert.equal(withExtra({ seed: -1 }).faults[0]?.column, 'extra_body.seed');
    for (const wrong of ['{}', 5, [], true]) {
      assert.deepEqual(rulesOf(withExtra(wrong)), ['error extra-body-type'], JSON.stringify(wrong));
    }
  });

  it('passes other keys on with a warning', () => {
    const result = withExtra({ sed: 42, camera: { zoom: [1.5, null] } });
    assert.deepEqual(rulesOf(result), ['warning extra-body-unknown-key', 'warning extra-body-unknown-key']);
    assert.deepEqual(result.request?.extra_body, { sed: 42, camera: { zoom: [1.5, null] } });
    assert.match(result.faults[0]?.message ?? '', /did you mean extra_body.seed\?/);
  });

  it('that says nothing is not sent', () => {
    assert.ok(!('extra_body' in (withExtra({}).request ?? assert.fail())));
    assert.ok(!('extra_body' in (withExtra({ seed: null }).request ?? assert.fail())));
  });

  it('refuses what JSON cannot carry', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    assert.deepEqual(rulesOf(withExtra({ cycle })), ['error extra-body-depth']);
    assert.deepEqual(rulesOf(withExtra({ at: new Date(0) })), ['error extra-body-value']);
    assert.deepEqual(rulesOf(withExtra({ x: NaN })), ['error extra-body-value']);
  });

  it('treats __proto__ as any other key', () => {
    const extra = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
    const { request } = withExtra(extra);
    assert.equal(JSON.stringify(request?.extra_body), '{"__proto__":{"polluted":true}}');
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  it('warns of what is known to disappoint', () => {
    const offPeak = { ...text, model: 'viduq3p-720p-offpeak' };
    assert.deepEqual(rulesOf(read({ ...offPeak, extra_body: { audio: false } })), ['warning offpeak-audio']);
    assert.deepEqual(rulesOf(read({ ...offPeak, extra_body: { audio: true } })), []);
    assert.deepEqual(rulesOf(withExtra({ bgm: true })), ['warning bgm-no-effect']);
    assert.deepEqual(rulesOf(read({ ...mix, model: 'viduq3t-mix-540p' })), ['warning mix-540p']);
  });
});
