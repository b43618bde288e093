import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { planOf } from './plan.ts';
import type { Plan } from './plan.ts';
import { killsOf, roundLine } from './report.ts';
import { playRound } from './round.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

test('a round of seed 1 on the embedded ledger: nothing is paid twice, and nothing is lost', async (t) => {
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
