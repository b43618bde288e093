import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  backoffMs,
  unlessTooOld,
  parseRetryAfter,
  retryOf,
  sameKeyOf,
  throttleMs,
} from '../../src/core/retry-policy.ts';
import { outcomeOf } from '../contract/rows.ts';

const almostOne = (): number => 0.999_999;
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoff', () => {
  it('doubles its ceiling with every attempt, up to the cap', () => {
    const ceilings = [1, 2, 3, 6, 7, 8, 5000].map((attempt) => backoffMs({ attempt, random: almostOne }));
    assert.deepEqual(ceilings, [999, 1999, 3999, 31_999, 59_999, 59_999, 59_999]);
  });

  it('spreads over the whole range down to zero', () => {
    assert.equal(backoffMs({ attempt: 5, random: () => 0 }), 0);
    assert.equal(backoffMs({ attempt: 5, random: () => 0.5 }), 8000);
  });

  it('is a whole number between zero and the cap for every attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 10_000 }), unit, (attempt, value) => {
        const ms = backoffMs({ attempt, random: () => value, baseMs: 10, capMs: 500 });
        assert.ok(Number.isInteger(ms) && ms >= 0 && ms <= 500);
      }),
    );
  });
});

describe('what an outcome allows', () => {
  const leave = sameKeyOf({ providerIdempotent: true });

  it('is another try for what is known not to have been accepted', () => {
    for (const kind of ['throttled', 'not-sent'] as const) assert.deepEqual(retryOf(outcomeOf(kind)), {});
    for (const kind of ['accepted', 'rejected', 'halted'] as const) {
      assert.equal(retryOf(outcomeOf(kind), leave), undefined);
    }
  });

  it('is another try for an unknown outcome only with permission', () => {
    assert.equal(retryOf(outcomeOf('uncertain')), undefined);
    assert.deepEqual(retryOf(outcomeOf('uncertain'), leave), {});
  });

  it('is no other try once the provider may have forgotten the key', () => {
    assert.equal(unlessTooOld(leave, undefined), leave);
    assert.ok(leave);
    assert.equal(unlessTooOld(leave, leave.lifeMs - 1), leave);
    assert.equal(unlessTooOld(leave, leave.lifeMs), undefined);
    assert.equal(unlessTooOld(undefined, 0), undefined);
  });
});

describe('the wait after a 429', () => {
  it('is never shorter than the provider asked for', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(3_600_000), unit, (level, retryAfterMs, value) => {
        assert.ok(throttleMs({ level, retryAfterMs, random: () => value }) >= retryAfterMs);
      }),
    );
  });

  it('grows with every throttled answer in a row when the provider asks for nothing', () => {
    const waits = [1, 2, 3, 7, 50].map((level) => throttleMs({ level, random: () => 0 }));
    assert.deepEqual(waits, [500, 1000, 2000, 30_000, 30_000]);
  });

  it('spreads the workers over the time after it', () => {
    assert.equal(throttleMs({ level: 1, retryAfterMs: 5000, random: () => 0 }), 5000);
    assert.equal(throttleMs({ level: 1, retryAfterMs: 5000, random: () => 0.5 }), 5250);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  const cases: [string, number | undefined][] = [
    ['0', 0],
    ['7', 7000],
    [' 7 ', 7000],
    ['1.5', 1500],
    ['-3', 0],
    ['99999999', 3_600_000],
    ['9'.repeat(400), 3_600_000],
    ['Sun, 01 Mar 2026 12:00:30 GMT', 30_000],
    ['Sunday, 01-Mar-26 12:00:30 GMT', 30_000],
    ['Sun Mar  1 12:00:30 2026', 30_000],
    ['Sun, 01 Mar 2026 11:59:30 GMT', 0],
    ['Fri, 01 Jan 2100 00:00:00 GMT', 3_600_000],
    ['', undefined],
    ['soon', undefined],
    ['5 apples', undefined],
    ['2026', 2_026_000],
    ['Sun, 99 Mar 2026', undefined],
  ];
  for (const [value, ms] of cases) {
    it(`of "${value.slice(0, 40)}" is ${ms === undefined ? 'nothing' : `${ms} ms`}`, () => {
      assert.equal(parseRetryAfter(value, { now }), ms);
    });
  }

  it('is nothing, or between zero and an hour, for any text', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const ms = parseRetryAfter(value, { now });
        assert.ok(ms === undefined || (ms >= 0 && ms <= 3_600_000));
      }),
    );
  });
});
