import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { exits, job, lastLine, openCli } from '../cli.ts';
import { startSimulatorProcess } from './simulator.ts';

/** Of the canonical text of `jobs/contract.json`: the four bodies of the contract page, none of them edited since. */
const CONTRACT = 'ea03721140e9';

describe('run, with nothing configured but the provider', async () => {
  const simulator = await startSimulatorProcess();
  const cli = await openCli({ VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' });
  after(() => Promise.all([cli.close(), simulator.close()]));

  before(async () => {
    exits(await cli.run(['run', job('contract.json')]), 0);
  });

  it('sends the four bodies of the contract page unchanged', () => {
    const text = readFileSync(job('contract.json'), 'utf8');
    const bodies = JSON.parse(text) as { model: string }[];
    assert.equal(sha256(JSON.stringify(bodies)).slice(0, 12), CONTRACT);
    const accepted = simulator.accepted();
    const byModel = (a: { model: string }, b: { model: string }): number => a.model.localeCompare(b.model);
    assert.deepEqual(
      accepted.map((one) => JSON.parse(one.bodyText) as { model: string }).sort(byModel),
      bodies.toSorted(byModel),
    );
    for (const { authorization, contentType } of accepted) {
      assert.equal(authorization, true);
      assert.equal(contentType, 'application/json');
    }
  });

  it('sends nothing the second time', async () => {
    const again = exits(await cli.run(['run', job('contract.json')]), 0);
    assert.equal(lastLine(again), '4 rows · 4 task ids · paid twice: none known');
    assert.equal(simulator.accepted().length, 4);
    assert.equal((await simulator.stats()).creates, 4);
  });
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
