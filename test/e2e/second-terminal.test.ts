import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits, json, lastLine, openCli } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

describe('a second terminal, while a run holds the embedded folder', async () => {
  // Sixty rows take long enough for the other commands, however busy the machine.
  const simulator = await startSimulatorProcess('--latency', '1500ms');
  const cli = await openCli(
    { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' },
    { ledger: true },
  );
  after(() => Promise.all([cli.close(), simulator.close()]));

  it('can look, submit, pause, explain and resume, but not send', async () => {
    const file = await cli.write('shots.csv', csvOf(60));
    const run = cli.start(['run', file, '--concurrency', '2']);
    await run.says(/"event":"accepted"/, 2);

    assert.match(exits(await cli.run(['pause', 'shots']), 0).stdout, /^shots: paused; open calls finish$/m);
    const status = json(exits(await cli.run(['status', 'shots', '--json']), 0)) as {
      counts: Record<string, number>;
      gates: { gate: string }[];
    };
    assert.ok((status.counts['pending'] ?? 0) > 0);
    assert.deepEqual(
      status.gates.map(({ gate }) => gate),
      ['paused'],
    );
    const explained = exits(await cli.run(['explain', 'shots', 'row-60']), 0).stdout;
    assert.match(explained, /^shots row-60: pending$/m);
    assert.match(explained, /^waiting {2}paused: .*`vidbatch resume shots`/m);

    const other = await cli.write('other.csv', csvOf(3, 'other'));
    assert.match(exits(await cli.run(['submit', other]), 0).stdout, /^other: 3 rows · 3 new$/m);

    const refused = exits(await cli.run(['work']), 1);
    assert.match(refused.stderr, new RegExp(`is held by process ${run.pid}\\b.*\\[FOLDER_HELD\\]`));
    assert.match(refused.stderr, /`status`, `submit`, `pause`, `export` and `board` work beside it/);
    assert.equal(
      exits(await cli.run(['export', 'shots', '--format', 'jsonl']), 0).stdout.split('\n').length,
      61,
    );

    await simulator.configure({ latency: { minMs: 0, maxMs: 2 } });
    assert.match(exits(await cli.run(['resume', 'shots']), 0).stdout, /^shots: resumed/m);
    const ended = exits(await run.ended, 0);
    assert.equal(lastLine(ended), '60 rows · 60 task ids · paid twice: none known');
    const accepted = simulator.accepted();
    assert.equal(accepted.length, 60);
    assert.deepEqual(paidTwice(accepted), []);
  });

  it('left its rows in the ledger, for the next worker', async () => {
    exits(await cli.run(['work', '--drain']), 0);
    assert.equal(simulator.accepted().length, 63);
  });
});
