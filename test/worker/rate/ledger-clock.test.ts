import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'node:test';
import { momentOf, narrowed, type Ahead } from '../../../src/worker/rate/ledger-clock.ts';

/** What our clock is ahead of a ledger's that says `nowMs`. */
const AHEAD = -1_764_000_000_000;

const delay = fc.double({ min: 0, max: 80, noNaN: true });
const exchanges = fc.array(
  fc.record({ before: delay, after: delay, pause: fc.integer({ min: 0, max: 2_000 }) }),
  { minLength: 1, maxLength: 30 },
);

/** What is known after these exchanges, each of which took so long before and after the statement began. */
function heard(all: readonly { before: number; after: number; pause: number }[], ahead = AHEAD): Ahead {
  let known: Ahead | undefined;
  let mono = 5_000;
  for (const { before, after, pause } of all) {
    mono += pause;
    known = narrowed(known, {
      nowMs: mono + before - ahead,
      asked: mono,
      answered: mono + before + after,
    });
    mono += before + after;
  }
  assert.ok(known);
  return known;
}

test('a moment of the ledger is known as exactly as the fastest reading', () => {
  fc.assert(
    fc.property(exchanges, (all) => {
      const error = momentOf(0, heard(all)) - AHEAD;
      // What has drifted since the quickest: at most half a millisecond a second, over all of them.
      const drift = 0.0005 * all.reduce((sum, { before, after, pause }) => sum + before + after + pause, 0);
      const least = Math.min(...all.map(({ before }) => before));
      assert.ok(error <= 0.001 && error >= -least - drift - 0.001, `${error}: quickest ${least}`);
    }),
  );
});

test('what is known always holds the truth', () => {
  fc.assert(
    fc.property(exchanges, (all) => {
      const { low, high } = heard(all);
      assert.ok(low <= AHEAD + 0.001 && high >= AHEAD - 0.001, `${low} to ${high}`);
    }),
  );
});

test('a clock that was set is followed at once', () => {
  const quick = { before: 1, after: 1, pause: 100 };
  const known = heard([quick, quick]);
  for (const set of [-600_000, 600_000]) {
    const mono = known.at + 100;
    const nowMs = mono + 1 - AHEAD + set;
    const error = momentOf(nowMs, narrowed(known, { nowMs, asked: mono, answered: mono + 2 })) - (mono + 1);
    assert.ok(Math.abs(error) <= 1.001, `${error}`);
  }
});

test('a clock that drifts slowly is followed', () => {
  let known: Ahead | undefined;
  const rate = 1.0003;
  for (let mono = 0; mono < 3_600_000; mono += 500)
    known = narrowed(known, { nowMs: (mono + 1) * rate, asked: mono, answered: mono + 3 });
  assert.ok(known);
  assert.ok(Math.abs(momentOf(3_600_000 * rate, known) - 3_600_000) < 2);
});
