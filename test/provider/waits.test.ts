import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from '../../src/provider/answer.ts';
import { dialectOf } from '../../src/provider/dialect.ts';
import { judge } from '../../src/provider/judgement.ts';
import { answer, profileWith } from './answers.ts';

/** The wait under a 429 by a profile with this one way to tell it. */
function wait(way: string, body: unknown, headers: Answer['headers'] = {}): number | undefined {
  const dialect = dialectOf(profileWith(`answers: { waits: [${way}] }`));
  const outcome = judge(answer(429, body, headers), dialect, { now: 0 });
  assert.ok(outcome.kind === 'throttled');
  return outcome.retry.afterMs;
}

describe('a wait', () => {
  const limits: [value: string | string[], ms: number | undefined][] = [
    ['"default";r=0;t=30', 30_000],
    ['"default"; r=0; t=30', 30_000],
    ['"burst";r=0;t=2, "day";r=0;t=60', 60_000],
    [['"burst";r=0;t=2', '"day";r=0;t=60'], 60_000],
    ['"burst";r=0;t=2, "day";r=12;t=3600', 2000],
    ['"default";r=5;t=30', undefined],
    ['"default";r=0', undefined],
    ['"default";t=30', undefined],
    ['"default";r=0;t=999999', 3_600_000],
    ['', undefined],
  ];
  for (const [value, ms] of limits) {
    it(`of RateLimit ${JSON.stringify(value)} is ${ms ?? 'not told'}`, () =>
      assert.equal(wait('{ header: RateLimit, as: ratelimit }', '', { ratelimit: value }), ms));
  }

  const texts: [body: unknown, ms: number | undefined][] = [
    [{ detail: 'Request was throttled. Your limit resets in ~30s.' }, 30_000],
    [{ detail: 'RESETS IN ~1.5s' }, 1500],
    ['resets in ~2s', 2000],
    [{ detail: 'resets in ~a while' }, undefined],
    [`resets in ~${'9'.repeat(60_000)}`, undefined],
  ];
  for (const [body, ms] of texts) {
    it(`in the words ${JSON.stringify(body).slice(0, 60)} is ${ms ?? 'not told'}`, () =>
      assert.equal(wait("{ text: 'resets in ~{}s' }", body), ms));
  }

  it('may be in any place of the body', () => {
    assert.equal(wait('{ at: error.wait, as: ms }', { error: { wait: 1500 } }), 1500);
    assert.equal(wait('{ at: error.wait, as: retry-after }', { error: { wait: '2' } }), 2000);
    assert.equal(wait('{ at: error.wait, as: ms }', { error: { wait: {} } }), undefined);
  });

  it('is what the first way tells that can be read', () => {
    const ways = '{ header: retry-after-ms, as: ms }, { at: wait, as: retry-after }';
    assert.equal(wait(ways, { wait: 7 }, { 'retry-after-ms': 'soon' }), 7000);
    assert.equal(wait(ways, { wait: 7 }, { 'retry-after-ms': '10' }), 10);
  });
});
