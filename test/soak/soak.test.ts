import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { planOf } from './plan.ts';
import { killsOf, roundLine } from './report.ts';
import { playRound } from './round.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

/** Short rounds with the seeds of which they were made; `npm run soak` is the long version. */
const ROUNDS = [
  { seed: 1, storage: 'redis+postgres', size: { rows: 1200, kills: 40 }, least: 30 },
  { seed: 1, storage: 'embedded', size: { rows: 150, kills: 4 }, least: 1 },
] as const;

for (const { seed, storage, size, least } of ROUNDS) {
  test(`seed ${seed} on ${storage}: nothing is paid twice, and nothing is lost`, async (t) => {
    const result = await playRound({ plan: planOf(seed, 0, storage, size), services });
    t.diagnostic(roundLine(result));
    assert.deepEqual(result.violations, []);
    assert.equal(result.rows, size.rows);
    assert.ok(killsOf(result) >= least, `${killsOf(result)} kills`);
  });
}

test('a plan follows from its seed and round alone', () => {
  const size = { rows: 100, kills: 10 };
  assert.deepEqual(planOf(7, 3, 'postgres', size), planOf(7, 3, 'postgres', size));
  assert.notDeepEqual(planOf(7, 3, 'postgres', size), planOf(7, 4, 'postgres', size));
  assert.notDeepEqual(planOf(7, 3, 'postgres', size), planOf(8, 3, 'postgres', size));
});
