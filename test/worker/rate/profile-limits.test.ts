import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limitsWith } from '../../../src/worker/rate/profile-limits.ts';

const profile = (limits: {
  rate?: string;
  maxInFlight?: number;
}): Parameters<typeof limitsWith>[1][number] => ({
  name: 'mine',
  limits,
});

describe('the limits of a worker', () => {
  it('are those of the profile where no flag names any', () => {
    assert.deepEqual(limitsWith([], [profile({ rate: '5/s', maxInFlight: 3 })]), [
      { model: '', intervalMs: 200, inFlight: 3 },
    ]);
    assert.deepEqual(limitsWith([], [profile({})]), []);
  });

  it('are those of the flags, each kind alone', () => {
    const own = [profile({ rate: '5/s', maxInFlight: 3 })];
    assert.deepEqual(limitsWith([{ model: '', intervalMs: 1000 }], own), [
      { model: '', intervalMs: 1000, inFlight: 3 },
    ]);
    assert.deepEqual(limitsWith([{ model: '', intervalMs: 'auto' }], own), [
      { model: '', intervalMs: 'auto', inFlight: 3 },
    ]);
    assert.deepEqual(limitsWith([{ model: '', inFlight: 9 }], own), [
      { model: '', intervalMs: 200, inFlight: 9 },
    ]);
  });

  it('are the lowest of several profiles', () => {
    const several = [
      profile({ rate: '5/s' }),
      profile({ rate: '2/s', maxInFlight: 4 }),
      profile({ maxInFlight: 3 }),
    ];
    assert.deepEqual(limitsWith([], several), [{ model: '', intervalMs: 500, inFlight: 3 }]);
  });

  it('that cannot be read name the profile', () => {
    assert.throws(() => limitsWith([], [profile({ rate: 'fast' })]), /limits\.rate of the profile mine/);
  });
});
