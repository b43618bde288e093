import assert from 'node:assert/strict';
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { countsOf, exits, openCli, type Ended } from '../cli.ts';
import { createDatabase, servers } from '../servers.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const ROWS = 90;
const WHEN = 30;

describe('a ledger that is restored from a copy', async () => {
  const shared = await servers();

  it('made in the middle of a run pays nothing again: embedded, without its journal', async () => {
    const simulator = await startSimulatorProcess();
    const cli = await openCli(
      { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' },
      { ledger: true },
    );
    after(() => Promise.all([cli.close(), simulator.close()]));
    const file = await cli.write('restored.csv', csvOf(ROWS, 'restored'));
    const [files, copy] = [join(cli.folder, '.vidbatch', 'database'), join(cli.folder, 'copy')];
    const running = cli.start(['run', file]);
    await running.says(/"event":"accepted"/, WHEN);
    running.kill('SIGSTOP');
    await cp(files, copy, { recursive: true });
    running.kill('SIGCONT');
    exits(await running.ended, 0);
    assert.equal(simulator.accepted().length, ROWS);

    await rm(files, { recursive: true });
    await rename(copy, files);
    const again = exits(await cli.run(['run', file, '--json']), 0);
    assert.equal(simulator.accepted().length, ROWS, 'nothing more was sent');
    assert.equal(countsOf(again)['submitted'], ROWS);
    assert.match(again.stderr, /"event":"replayed"/);
  });

  it('made in the middle of a run, or before it, pays nothing again: Redis and Postgres', async () => {
    const simulator = await startSimulatorProcess();
    const database = await createDatabase(shared);
    const cli = await openCli({
      REDIS_URL: shared.redisUrl,
      VIDBATCH_BASE_URL: simulator.url,
      VIDBATCH_API_KEY: 'sk-e2e',
    });
    const on = (databaseUrl: string): { env: Record<string, string> } => ({
      env: { DATABASE_URL: databaseUrl },
    });
    exits(await cli.run(['migrate'], on(database.url)), 0);
    const before = await createDatabase(shared, { copyOf: database.url });
    after(() => Promise.all([cli.close(), simulator.close(), database.drop(), before.drop()]));

    const file = await cli.write('restored.csv', csvOf(ROWS, 'restored'));
    const running = cli.start(['run', file], on(database.url));
    await running.says(/"event":"accepted"/, WHEN);
    const middle = await createDatabase(shared, { copyOf: database.url });
    after(() => middle.drop());
    exits(await running.ended, 0);
    assert.deepEqual([simulator.accepted().length, paidTwice(simulator.accepted())], [ROWS, []]);

    for (const copy of [middle, before]) {
      const again = exits(await cli.run(['run', file, '--json'], on(copy.url)), 0);
      assert.equal(simulator.accepted().length, ROWS, 'nothing more was sent');
      assert.equal(countsOf(again)['submitted'], ROWS);
    }
  });

  it('is not the empty ledger of a second DATABASE_URL, which sends nothing until a person says so', async () => {
    const simulator = await startSimulatorProcess();
    const [first, second] = [await createDatabase(shared), await createDatabase(shared)];
    const cli = await openCli({ VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' });
    after(() => Promise.all([cli.close(), simulator.close(), first.drop(), second.drop()]));
    const file = await cli.write('two.csv', csvOf(2, 'two'));
    const run = (
      url: string,
      args: readonly string[] = [],
      env: Record<string, string> = {},
    ): Promise<Ended> => cli.run(['run', file, ...args], { env: { DATABASE_URL: url, ...env } });
    const doctor = async (): Promise<string> =>
      (await cli.run(['doctor'], { env: { DATABASE_URL: second.url } })).stdout;
    exits(await run(first.url), 0);
    assert.equal(simulator.accepted().length, 2);

    const refused = exits(await run(second.url, [], { VIDBATCH_ACCEPT_FOREIGN_JOURNALS: '1' }), 3);
    assert.match(
      refused.stderr,
      /belongs to another ledger .*nothing was sent \[FOREIGN_JOURNALS\]\n.*DATABASE_URL/,
    );
    exits(await cli.run(['migrate', '--accept-foreign-journals'], { env: { DATABASE_URL: first.url } }), 0);
    exits(await run(second.url), 3);
    assert.match(await doctor(), /^failed +journals: .*belongs to another ledger/m);
    const status = exits(await cli.run(['status'], { env: { DATABASE_URL: second.url } }), 0);
    assert.match(status.stderr, /belongs to another ledger/);
    assert.equal(simulator.accepted().length, 2, 'nothing was paid by the wrong ledger');

    exits(await run(second.url, ['--accept-foreign-journals']), 0);
    assert.equal(simulator.accepted().length, 4);
    assert.match(await doctor(), /^ok +journals: /m);
    exits(await run(second.url), 0);
    exits(await run(first.url), 3);
    assert.equal(simulator.accepted().length, 4);
  });
});
