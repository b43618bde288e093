import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, lastLine } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('a signal', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('ends with 130 and a receipt when it is interrupted, and the next one finishes', async () => {
    const file = await cli.write('interrupted.csv', csvOf(300, 'int'));
    await simulator.configure({ latency: { minMs: 20, maxMs: 40 } });
    const first = cli.start(['run', file]);
    await first.says(/"event":"accepted"/, 40);
    first.kill('SIGINT');
    const ended = exits(await first.ended, 130);
    assert.match(lastLine(ended), /^300 rows · \d+ task ids · \d+ pending · paid twice: none known$/);
    await simulator.configure({ latency: { minMs: 0, maxMs: 2 } });
    const second = exits(await cli.run(['run', file]), 0);
    assert.equal(lastLine(second), '300 rows · 300 task ids · paid twice: none known');
    const accepted = simulator.accepted().filter(({ body }) => body.prompt.startsWith('the shot int'));
    assert.equal(accepted.length, 300);
    assert.deepEqual(paidTwice(accepted), []);
  });

  it('lets `work` finish what is in flight at the first SIGTERM, and ends with 0', async () => {
    const file = await cli.write('terminated.csv', csvOf(200, 'term'));
    exits(await cli.run(['submit', file]), 0);
    await simulator.configure({ latency: { minMs: 300, maxMs: 300 } });
    const work = cli.start(['work']);
    await work.says(/"event":"accepted"/, 3);
    work.kill('SIGTERM');
    exits(await work.ended, 0);
    const counts = countsOf(exits(await cli.run(['status', 'terminated', '--json']), 0));
    const accepted = simulator.accepted().filter(({ body }) => body.prompt.startsWith('the shot term'));
    assert.deepEqual(counts['submitted'], accepted.length);
    assert.deepEqual([counts['submitting'], counts['uncertain']], [0, 0]);
    assert.equal(counts['pending'], 200 - accepted.length);
    assert.ok(accepted.length < 200);
  });
});
