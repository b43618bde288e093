import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { steer, unknownQuota, type QuotaState, type Observed } from '../../../src/core/rate/auto-rate.ts';
import { course, QUOTAS } from '../../quota.ts';
import { randomOf } from '../../simulation/random.ts';

const PHASES = [
  [90, 20],
  [60, 5],
  [120, 40],
] as const;

describe('an undocumented quota', () => {
  for (const [name, quota] of Object.entries(QUOTAS)) {
    test(`is found, held and followed where the provider counts by ${name}`, () => {
      for (const seed of [1, 2, 3]) {
        const { used, refused } = course({ allows: quota(), phases: PHASES, random: randomOf(seed) });
        assert.ok(used >= 0.9 && refused <= 0.08, `${used} used, ${refused} refused`);
      }
    });
  }

  test('by a sliding second costs few refusals', () => {
    for (const seed of [1, 2, 3]) {
      const allows = QUOTAS['a sliding second']?.() ?? (() => true);
      const { used, refused } = course({ allows, phases: PHASES, random: randomOf(seed) });
      assert.ok(used >= 0.9 && refused <= 0.03, `${used} used, ${refused} refused`);
    }
  });

  test('is found also where answers are slow, and where the provider asks to wait', () => {
    for (const slow of [{ lagMs: 800 }, { retryAfterMs: 1000 }]) {
      const allows = QUOTAS['a sliding second']?.() ?? (() => true);
      const { used, refused } = course({ allows, phases: PHASES, random: randomOf(1), ...slow });
      assert.ok(used >= 0.75 && refused <= 0.08, `${used} used, ${refused} refused`);
    }
  });
});

const seen = fc.record(
  {
    afterMs: fc.integer({ min: -5_000, max: 600_000 }),
    sent: fc.integer({ min: 0, max: 1000 }),
    lagMs: fc.integer({ min: 1, max: 100_000 }),
    refusal: fc.record({ isNew: fc.boolean(), stopMs: fc.integer({ min: 0, max: 3_600_000 }) }),
  },
  { requiredKeys: ['afterMs', 'sent'] },
);

/** What comes of it, step by step. */
function steps(
  all: readonly (Omit<Observed, 'at'> & { afterMs: number })[],
): [QuotaState, QuotaState, Observed][] {
  let known = unknownQuota(1_000_000);
  let sent = 0;
  return all.map(({ afterMs, ...one }) => {
    const before = known;
    sent += one.sent;
    const now = { ...one, sent, at: known.at + afterMs };
    known = steer(known, now);
    return [before, known, now];
  });
}

describe('the rate', () => {
  test('stays within bounds for any events and any clock', () => {
    fc.assert(
      fc.property(fc.array(seen), (all) => {
        for (const [, { perSecond }] of steps(all)) assert.ok(perSecond >= 0.05 && perSecond <= 1000);
      }),
    );
  });

  test('goes down by a refusal, by half at most, and never up', () => {
    fc.assert(
      fc.property(fc.array(seen), (all) => {
        for (const [before, after, { refusal }] of steps(all)) {
          if (refusal === undefined) continue;
          const lower = after.perSecond < before.perSecond;
          assert.ok(
            refusal.isNew ? lower || before.perSecond === 0.05 : after.perSecond === before.perSecond,
          );
          assert.ok(after.perSecond >= before.perSecond / 2 - 1e-9);
        }
      }),
    );
  });

  test('at most doubles in a second, and does not rise when it is not used', () => {
    fc.assert(
      fc.property(fc.array(seen), (all) => {
        for (const [before, after, { sent, refusal }] of steps(all)) {
          if (refusal !== undefined) continue;
          assert.ok(after.perSecond <= 2 * before.perSecond);
          if (sent === before.sent) assert.ok(after.perSecond <= before.perSecond);
        }
      }),
    );
  });
});
