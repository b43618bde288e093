import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { createDatabase, servers, startServer } from '../servers.ts';
import { countsOf, exits, openCli, type Cli } from '../cli.ts';
import { until } from '../until.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess, type SimulatorProcess } from './simulator.ts';

const ROWS = 500;

describe('two workers on one ledger', async () => {
  const shared = await servers();
  const own = await startServer('redis');
  after(own.stop);

  /** A new ledger with `ROWS` rows, two workers that drain it, and what became of it. */
  async function drain(env: Record<string, string>, meanwhile: (one: Cli) => Promise<void>): Promise<void> {
    const database = await createDatabase(shared);
    const simulator: SimulatorProcess = await startSimulatorProcess();
    const cli = await openCli({
      ...env,
      DATABASE_URL: database.url,
      VIDBATCH_BASE_URL: simulator.url,
      VIDBATCH_API_KEY: 'sk-e2e',
    });
    try {
      const file = await cli.write('many.csv', csvOf(ROWS, 'many'));
      exits(await cli.run(['submit', file]), 0);
      const workers = [cli.start(['work', '--drain']), cli.start(['work', '--drain'])];
      await until(() => simulator.accepted().length >= 150);
      await meanwhile(cli);
      for (const ended of await Promise.all(workers.map((worker) => worker.ended))) exits(ended, 0);
      const accepted = simulator.accepted();
      assert.deepEqual(paidTwice(accepted), []);
      assert.equal(accepted.length, ROWS);
      const counts = countsOf(await cli.run(['status', 'many', '--json']));
      assert.equal(counts['submitted'], ROWS);
    } finally {
      await cli.close();
      await simulator.close();
      await database.drop();
    }
  }

  it('send each row once, with the queue on Redis', () =>
    drain({ REDIS_URL: own.url }, () => Promise.resolve()));

  it('send each row once when Redis loses everything in the middle', () =>
    drain({ REDIS_URL: own.url }, async () => {
      const redis = new Redis(own.url);
      await redis.flushall();
      redis.disconnect();
    }));

  it('send each row once, with the queue on Postgres', () => drain({}, () => Promise.resolve()));
});
