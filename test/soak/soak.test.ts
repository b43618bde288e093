import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { planOf, type Plan } from './plan.ts';
import { killsOf, roundLine } from './report.ts';
import { playRound } from './round.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

test('a round of seed 1: nothing is paid twice, and nothing is lost, through five kills', async (t) => {
  const plan: Plan = {
    ...planOf(1, 0, 'redis+postgres', { rows: 150, kills: 6, life: 10 }),
    // Slow enough that the rows outlast the workers.
    concurrency: 4,
    latency: { minMs: 150, maxMs: 300 },
  };
  const result = await playRound({ plan, services });
  t.diagnostic(roundLine(result));
  assert.deepEqual(result.violations, []);
  assert.equal(result.rows, 150);
  assert.ok(killsOf(result) >= 5, `${killsOf(result)} kills`);
});

test('a plan follows from its seed and round alone', () => {
  const size = { rows: 100, kills: 10 };
  assert.deepEqual(planOf(7, 3, 'postgres', size), planOf(7, 3, 'postgres', size));
  assert.notDeepEqual(planOf(7, 3, 'postgres', size), planOf(7, 4, 'postgres', size));
  assert.notDeepEqual(planOf(7, 3, 'postgres', size), planOf(8, 3, 'postgres', size));
});
