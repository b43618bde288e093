import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exits, lastLine, openCli, type Cli } from '../cli.ts';
import { place as placeFor, type StorageKind } from '../contract/storages.ts';
import { csvOf, paidTwice } from '../e2e/manifest.ts';
import { startSimulatorProcess, type SimulatorProcess } from '../e2e/simulator.ts';
import { shifted } from './shift.ts';

const HOUR = 3_600_000;

const BOTH = { back: -HOUR, forward: HOUR };

/** Where the database has a clock of its own, and where it has this process's. */
const KINDS: readonly [StorageKind, Readonly<Record<string, number>>][] = [
  ['redis+postgres', BOTH],
  ['postgres', { back: -HOUR }],
  ['embedded', { back: -HOUR }],
];

for (const [kind, jumps] of KINDS) {
  describe(`a wall clock that is set in the middle of a run, on ${kind}`, () => {
    let simulator: SimulatorProcess;
    let here: Cli;
    let remove: () => Promise<void>;

    before(async () => {
      simulator = await startSimulatorProcess();
      const { config, remove: gone } = await placeFor(kind, {}, true);
      remove = gone;
      here = await openCli({
        VIDBATCH_DATA_DIR: config.dataDir,
        VIDBATCH_BASE_URL: simulator.url,
        VIDBATCH_API_KEY: 'sk-clock',
        ...(config.databaseUrl === undefined ? {} : { DATABASE_URL: config.databaseUrl }),
        ...(config.redisUrl === undefined ? {} : { REDIS_URL: config.redisUrl }),
      });
    });
    after(async () => {
      await here.close();
      await simulator.close();
      await remove();
    });

    for (const [name, jumpMs] of Object.entries(jumps)) {
      it(`sends each row once, also those that wait, when it is set ${name} an hour`, async () => {
        const batch = `waits-${name}`;
        await simulator.addRule({ fault: 'throttle-seconds', match: { prompt: `${batch}-7`, times: 1 } });
        const file = await here.write(`${batch}.csv`, csvOf(20, batch));
        const before = simulator.accepted().length;
        // The throttled row is among the first nine; what it waits for was told by the old clock.
        const ended = await here.run(['run', file], {
          env: shifted({ at: 'recorded', time: 9, jumpMs }),
        });
        assert.match(ended.stderr, /^shifted at recorded$/m);
        exits(ended, 0);
        assert.equal(lastLine(ended), '20 rows · 20 task ids · paid twice: none known');
        assert.equal(simulator.accepted().length, before + 20);
        assert.deepEqual(paidTwice(simulator.accepted()), []);
      });
    }

    if (kind === 'embedded') {
      it('waits no longer after a start with a clock that was set back since', async () => {
        await simulator.addRule({ fault: 'throttle', match: { prompt: 'ahead-', nth: 2, times: 1_000 } });
        const file = await here.write('ahead.csv', csvOf(3, 'ahead'));
        const first = here.start(['run', file, '--concurrency', '1'], { env: shifted({ aheadMs: HOUR }) });
        await first.says(/"event":"throttled"/, 3);
        first.kill('SIGKILL');
        await first.ended;
        await simulator.clearRules();
        const ended = exits(await here.run(['run', file]), 0);
        assert.equal(lastLine(ended), '3 rows · 3 task ids · paid twice: none known');
        assert.deepEqual(paidTwice(simulator.accepted()), []);
      });
    }
  });
}
