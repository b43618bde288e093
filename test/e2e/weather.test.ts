import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits, json, jsonLines, lastLine } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('a provider in bad weather', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('gets every row once, through 429s and refusals that are known not to be accepts', async () => {
    await simulator.configure({ faults: ['throttle=0.1', 'status-503-model-not-found=0.05'] });
    const file = await cli.write('rain.csv', csvOf(60, 'rain'));
    const ended = exits(await cli.run(['run', file]), 0);
    assert.equal(lastLine(ended), '60 rows · 60 task ids · paid twice: none known');
    const { byStatus } = await simulator.stats();
    assert.ok((byStatus['429'] ?? 0) > 0 && (byStatus['503'] ?? 0) > 0, JSON.stringify(byStatus));
    assert.equal(simulator.accepted().length, 60);
    assert.deepEqual(paidTwice(simulator.accepted()), []);
  });

  it('may throttle a row as often as it likes: that costs no attempt', async () => {
    await simulator.configure({ faults: [] });
    await simulator.addRule({ fault: 'throttle', match: { prompt: 'hail-2', times: 3 } });
    const file = await cli.write('hail.csv', csvOf(4, 'hail'));
    const ended = exits(await cli.run(['run', file, '--attempts', '1']), 0);
    assert.equal(lastLine(ended), '4 rows · 4 task ids · paid twice: none known');
    const { attempts } = json(exits(await cli.run(['explain', 'hail', 'hail-2', '--json']), 0)) as {
      attempts: { outcome: string }[];
    };
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['throttled', 'throttled', 'throttled', 'accepted'],
    );
  });

  it('with a quota refuses nothing at a rate below it', async () => {
    await simulator.clearRules();
    await simulator.configure({ requestsPerSecond: 20 });
    const before = (await simulator.stats()).byStatus['429'] ?? 0;
    const file = await cli.write('quota.csv', csvOf(45, 'quota'));
    exits(await cli.run(['run', file, '--rate', '15/s']), 0);
    const throttled = ((await simulator.stats()).byStatus['429'] ?? 0) - before;
    assert.ok(throttled <= 2, `${throttled} were throttled`);
  });

  it('whose answers are lost leaves rows uncertain, and they are never sent again', async () => {
    await simulator.configure({ requestsPerSecond: null });
    await simulator.addRule({ fault: 'reset-in-answer:created', match: { prompt: 'lost-2' } });
    await simulator.addRule({ fault: 'status-502:not-created', match: { prompt: 'lost-4' } });
    const file = await cli.write('lost.csv', csvOf(6, 'lost'));
    const ended = exits(await cli.run(['run', file]), 5);
    assert.equal(lastLine(ended), '6 rows · 4 task ids · 2 uncertain · paid twice: none known');
    const { creates } = await simulator.stats();
    exits(await cli.run(['run', file]), 5);
    exits(await cli.run(['work', '--drain']), 0);
    assert.equal((await simulator.stats()).creates, creates);
    const rows = jsonLines<{ row_key: string; state: string }>(
      exits(await cli.run(['export', 'lost', '--format', 'jsonl']), 0).stdout,
    );
    assert.deepEqual(
      rows.filter(({ state }) => state === 'uncertain').map((row) => row.row_key),
      ['lost-2', 'lost-4'],
    );
  });

  it('that cannot be reached for a while gets every row once, when it is back', async () => {
    await simulator.configure({ slowMs: 1_000 });
    await simulator.addRule({ fault: 'outage', match: { prompt: 'away-5' } });
    const file = await cli.write('away.csv', csvOf(12, 'away'));
    // One call at a time: none is cut off in flight.
    const ended = exits(await cli.run(['run', file, '--concurrency', '1', '--attempts', '50']), 0);
    assert.match(ended.stderr, /"event":"not-sent".*refuses connections/);
    assert.equal(lastLine(ended), '12 rows · 12 task ids · paid twice: none known');
    assert.deepEqual(paidTwice(simulator.accepted()), []);
  });

  it('that refuses a row has it rejected, with its reason, and the others are sent', async () => {
    await simulator.addRule({ fault: 'policy', match: { prompt: 'rude-1' } });
    const file = await cli.write('rude.csv', csvOf(3, 'rude'));
    const ended = exits(await cli.run(['run', file]), 4);
    assert.equal(lastLine(ended), '3 rows · 2 task ids · 1 rejected · paid twice: none known');
    const [rejected] = jsonLines<Record<string, unknown>>(
      exits(await cli.run(['export', 'rude', '--format', 'jsonl']), 0).stdout,
    );
    assert.equal(rejected?.['state'], 'rejected');
    assert.equal(rejected?.['http_status'], 400);
    assert.match(String(rejected?.['error_code']), /TaskPromptPolicyViolation/);
  });
});
