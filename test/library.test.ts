import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readConfig } from '../src/core/config.ts';
import { open, type OpenOptions, type Vidbatch } from '../src/index.ts';
import { startSimulator, type Simulator } from '../src/simulator/server.ts';
import { csvOf } from './e2e/manifest.ts';
import { until } from './until.ts';

interface Fixture {
  simulator: Simulator;
  manifest: string;
  open: (role?: OpenOptions['role']) => Promise<Vidbatch>;
}

async function openFixture(t: TestContext): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-library-'));
  const simulator = await startSimulator({ latency: { minMs: 200, maxMs: 200 } });
  t.after(async () => {
    await simulator.close();
    await rm(folder, { recursive: true });
  });
  const manifest = join(folder, 'prompts.csv');
  await writeFile(manifest, csvOf(2, 'prompts'));
  const config = readConfig({
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'practice',
    VIDBATCH_DATA_DIR: join(folder, '.vidbatch'),
  });
  return { simulator, manifest, open: (role) => open({ config, ...(role === undefined ? {} : { role }) }) };
}

describe('the library', () => {
  it('closes a worker that is still open before the ledger, and its open calls end first', async (t) => {
    const { simulator, manifest, open: openLedger } = await openFixture(t);
    const first = await openLedger();
    await first.submit(manifest);
    await first.work();
    await until(() => simulator.stats().creates > 0);
    await first.close();
    await first.close();
    const sent = simulator.stats().accepted;
    await using second = await openLedger();
    const { counts } = await second.status('prompts');
    assert.deepEqual([counts.submitted, counts.uncertain, counts.submitting], [sent, 0, 0]);
  });

  it('sends only for the role worker', async (t) => {
    const { simulator, manifest, open: openLedger } = await openFixture(t);
    await using writer = await openLedger('writer');
    await assert.rejects(writer.run(manifest), { code: 'NOT_A_WORKER', exitCode: 2 });
    await assert.rejects(writer.work(), { code: 'NOT_A_WORKER', exitCode: 2 });
    assert.deepEqual(await writer.batches(), []);
    assert.equal(simulator.stats().creates, 0);
  });
});
