import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countsOf, exits, openCli } from '../cli.ts';
import { createDatabase, servers } from '../servers.ts';
import { until } from '../until.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const ROWS = 120;
/** With answers that take this long, rows are left however late the pause comes. */
const SLOW = { minMs: 1_000, maxMs: 1_000 };
const QUICK = { minMs: 1, maxMs: 5 };

describe('pause, given by another process', async () => {
  const shared = await servers();

  /** A worker in the middle of a batch, paused, looked at and resumed. */
  async function pauses(env: Record<string, string>, embedded: boolean): Promise<void> {
    const simulator = await startSimulatorProcess();
    const cli = await openCli(
      { ...env, VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' },
      embedded ? { ledger: true } : {},
    );
    const counts = async (): Promise<Record<string, number>> =>
      countsOf(exits(await cli.run(['status', 'many', '--json']), 0));
    try {
      const file = await cli.write('many.csv', csvOf(ROWS, 'many'));
      await simulator.configure({ latency: SLOW });
      const running = cli.start(['run', file, '--concurrency', '2']);
      await running.says(/"event":"accepted"/, 3);
      exits(await cli.run(['pause']), 0);
      await until(async () => (await counts())['submitting'] === 0);
      await running.says(/"event":"held","reason":"everything is paused; `vidbatch resume` continues/, 1);
      const { creates } = await simulator.stats();
      assert.ok(creates < ROWS, 'it was paused in the middle');
      // A worker that went on would send a row at each look.
      await simulator.configure({ latency: QUICK });
      for (let look = 0; look < 3; look += 1) {
        assert.equal((await counts())['submitting'], 0);
        assert.equal((await simulator.stats()).creates, creates, 'nothing was claimed after the pause');
      }
      exits(await cli.run(['resume']), 0);
      exits(await running.ended, 0);
      assert.equal(simulator.accepted().length, ROWS);
      assert.deepEqual(paidTwice(simulator.accepted()), []);
    } finally {
      await cli.close();
      await simulator.close();
    }
  }

  /** A worker in the middle of a batch of two models, one of which is paused. */
  async function pausesModel(env: Record<string, string>): Promise<void> {
    const slow = 'viduq3p-1080p';
    const simulator = await startSimulatorProcess();
    const cli = await openCli({ ...env, VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' });
    const sent = (): number => simulator.accepted().filter(({ body }) => body.model === slow).length;
    try {
      const rows = csvOf(40, 'half').replaceAll(/^(half-\d*[02468]),[^,]+/gm, `$1,${slow}`);
      await simulator.configure({ latency: SLOW });
      const running = cli.start(['run', await cli.write('half.csv', rows), '--concurrency', '2']);
      await running.says(/"event":"accepted"/, 3);
      exits(await cli.run(['pause', '--model', slow]), 0);
      await simulator.configure({ latency: QUICK });
      const status = async (): Promise<string> => exits(await cli.run(['status', 'half']), 0).stdout;
      await until(
        async () => simulator.accepted().length - sent() === 20 && !/submitting/.test(await status()),
      );
      const before = sent();
      assert.ok(before < 20, 'it was paused in the middle');
      for (let look = 0; look < 3; look += 1) {
        assert.match(
          await status(),
          new RegExp(`paused: model ${slow} is paused in all batches, and ${20 - before} row`),
        );
        assert.equal(sent(), before, 'no row of the model was claimed after the pause');
      }
      exits(await cli.run(['resume', '--model', slow]), 0);
      exits(await running.ended, 0);
      assert.equal(simulator.accepted().length, 40);
      assert.deepEqual(paidTwice(simulator.accepted()), []);
    } finally {
      await cli.close();
      await simulator.close();
    }
  }

  it('stops a worker that runs, and resume lets it continue: embedded', () => pauses({}, true));

  for (const [name, env] of [
    ['Redis and Postgres', { REDIS_URL: shared.redisUrl }],
    ['Postgres', {}],
  ] as const) {
    it(`stops a worker that runs, and resume lets it continue: ${name}`, async () => {
      const database = await createDatabase(shared);
      try {
        await pauses({ ...env, DATABASE_URL: database.url }, false);
      } finally {
        await database.drop();
      }
    });

    // The claim leaves such rows, in the same SQL everywhere.
    if (name === 'Postgres') continue;
    it(`of one model lets a worker send the others: ${name}`, async () => {
      const database = await createDatabase(shared);
      try {
        await pausesModel({ ...env, DATABASE_URL: database.url });
      } finally {
        await database.drop();
      }
    });
  }
});
