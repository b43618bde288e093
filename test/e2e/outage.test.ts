import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, openCli, type Ended } from '../cli.ts';
import { createDatabase, startServer } from '../servers.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const ROWS = 1000;

interface Line {
  level: string;
  event: string;
}

/** What a worker said; fails over anything that is no log line of ours. */
function linesOf({ stderr }: Ended): Line[] {
  const lines = stderr.split('\n').filter(Boolean);
  for (const line of lines) assert.match(line, /^\{/, `printed past the log: ${line}`);
  return lines.map((line) => JSON.parse(line) as Line);
}

describe('two workers whose engines go away in the middle', async () => {
  const [redis, postgres] = await Promise.all([startServer('redis'), startServer('postgres')]);
  // Slow enough that neither has sent all rows before the other has started, however busy the machine.
  const simulator = await startSimulatorProcess('--latency', '200ms-300ms');
  const database = await createDatabase({ databaseUrl: postgres.url });
  const cli = await openCli({
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-e2e',
  });
  after(async () => {
    await cli.close();
    await Promise.all([simulator.close(), redis.stop(), postgres.stop()]);
  });

  it('wait, say so once each, and send every row once', async () => {
    const file = await cli.write('long.csv', csvOf(ROWS, 'long'));
    exits(await cli.run(['submit', file]), 0);
    const workers = [cli.start(['work', '--drain']), cli.start(['work', '--drain'])];
    const all = (says: RegExp, times?: number): Promise<unknown> =>
      Promise.all(workers.map((worker) => worker.says(says, times)));

    await all(/"event":"accepted"/, 20);
    await redis.kill();
    await all(/"event":"queue-away"/);
    await redis.restart();
    const before = simulator.accepted().length;
    await all(/"event":"accepted"/, 60);

    await postgres.kill('SIGQUIT');
    await all(/"event":"ledger-away"/);
    await simulator.configure({ latency: { minMs: 10, maxMs: 30 } });
    await postgres.restart();

    const ended = await Promise.all(workers.map((worker) => worker.ended));
    const accepted = simulator.accepted();
    assert.ok(accepted.length > before);
    assert.deepEqual(paidTwice(accepted), []);
    assert.equal(accepted.length, ROWS);
    for (const one of ended) {
      exits(one, 0);
      const lines = linesOf(one);
      for (const event of ['queue-away', 'queue-back', 'ledger-away', 'ledger-back']) {
        assert.equal(lines.filter((line) => line.event === event).length, 1, event);
      }
      const loud = lines.filter(({ level }) => level !== 'info');
      assert.ok(loud.length <= 6, JSON.stringify(loud));
    }
    const counts = countsOf(exits(await cli.run(['status', 'long', '--json']), 0));
    assert.equal(counts['submitted'], ROWS);
  });
});
