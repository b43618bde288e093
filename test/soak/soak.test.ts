import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { planOf } from './plan.ts';
import type { Plan } from './plan.ts';
import { killsOf, roundLine } from './report.ts';
import { playRound } from './round.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

test('a round of seed 1: nothing is paid twice, and nothing is lost, through thirty kills', async (t) => {
  const plan = planOf(1, 0, 'redis+postgres', { rows: 1000, kills: 33, life: 20 });
  const result = await playRound({ plan, services });
  t.diagnostic(roundLine(result));
  assert.deepEqual(result.violations, []);
  assert.equal(result.rows, 1000);
  assert.ok(killsOf(result) >= 30, `${killsOf(result)} kills`);
});

test('the same on the embedded ledger, through a few', async (t) => {
  // Each command opens the database anew, which takes seconds: as few as possible.
  const plan: Plan = {
    ...planOf(1, 0, 'embedded', { rows: 100, kills: 3, life: 40 }),
    fates: [
      { point: 'answer-journaled', time: 20 },
      { point: 'sent', time: 20 },
    ],
    steps: [],
    end: { stop: 'SIGKILL', by: 'run', retry: false, settle: 0, misjudge: 0, verify: false },
  };
  const result = await playRound({ plan, services });
  t.diagnostic(roundLine(result));
  assert.deepEqual(result.violations, []);
  assert.equal(result.rows, 100);
  assert.ok(killsOf(result) >= 2, `${killsOf(result)} kills`);
});

test('a plan follows from its seed and round alone', () => {
  const size = { rows: 100, kills: 10 };
  assert.deepEqual(planOf(7, 3, 'postgres', size), planOf(7, 3, 'postgres', size));
  assert.notDeepEqual(planOf(7, 3, 'postgres', size), planOf(7, 4, 'postgres', size));
  assert.notDeepEqual(planOf(7, 3, 'postgres', size), planOf(8, 3, 'postgres', size));
});
