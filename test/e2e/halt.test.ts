import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits, json, lastLine } from '../cli.ts';
import { freePort } from '../provider/fixture.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

interface Status {
  counts: Record<string, number>;
  gates: { gate: string; reason: string }[];
}

describe('a halt', async () => {
  const cli = await openCliOnPostgres('--key', 'sk-good', '--spa-fallback');
  const { simulator } = cli;
  after(cli.close);
  const good = { env: { VIDBATCH_API_KEY: 'sk-good' } };

  it('stops ten thousand rows after a handful of calls when the key is bad', async () => {
    const file = await cli.write('shots.csv', csvOf(10_000));
    const halted = exits(await cli.run(['run', file, '--concurrency', '8']), 6);
    const { creates } = await simulator.stats();
    assert.ok(creates >= 1 && creates <= 8, `${creates} calls`);
    assert.match(lastLine(halted), /^10,000 rows · 0 task ids · 10,000 pending · paid twice: none known$/);
    assert.match(halted.stderr, /halted: .*401.*Invalid token/);
  });

  it('is stored: status shows it, with its reason', async () => {
    const all = exits(await cli.run(['status']), 0).stdout;
    assert.match(
      all,
      /nothing has been sent to \S+ for .*: invalid_api_key: Invalid token; 10,000 rows wait\n/,
    );
    assert.match(all, /^shots {2}halted +10,000 /m);
    const text = exits(await cli.run(['status', 'shots']), 0).stdout;
    assert.match(
      text,
      /waiting: halted: http:\S+ refuses the API key \(HTTP 401: Invalid token\); put the right key into VIDBATCH_API_KEY, then `vidbatch resume`/,
    );
    const { counts, gates } = json(exits(await cli.run(['status', 'shots', '--json']), 0)) as Status;
    assert.equal(counts['pending'], 10_000);
    assert.deepEqual(
      gates.map(({ gate }) => gate),
      ['halted'],
    );
  });

  it('is raised again by one call when nothing has changed', async () => {
    const { creates } = await simulator.stats();
    exits(await cli.run(['work', '--drain']), 6);
    assert.equal((await simulator.stats()).creates, creates + 1);
  });

  it('is lifted by the first acceptance with a good key, and the other rows follow', async () => {
    const run = cli.start(['run', `${cli.folder}/shots.csv`], good);
    await run.says(/"event":"accepted"/, 300);
    run.kill('SIGINT');
    const ended = exits(await run.ended, 130);
    assert.doesNotMatch(ended.stderr, /"event":"halted"/);
    assert.deepEqual((json(await cli.run(['status', 'shots', '--json'])) as Status).gates, []);
    assert.deepEqual(paidTwice(simulator.accepted()), []);
  });

  it('is also reported by reconcile: with a bad key, no poll is answered', async () => {
    const ended = exits(await cli.run(['reconcile', 'shots']), 1);
    assert.match(ended.stdout, /^(\S+) tasks polled · .* · \1 unanswered$/m);
    assert.match(ended.stderr, /answered none of \S+ polls \[PROVIDER_SILENT\]\n {2}Check VIDBATCH_BASE_URL/);
  });

  it('stops a base URL that answers every path with a page, and says what is uncertain', async () => {
    const file = await cli.write('wrong.csv', csvOf(50, 'wrong'));
    const before = await simulator.stats();
    const wrong = { env: { ...good.env, VIDBATCH_BASE_URL: `${simulator.url}/wrong` } };
    const halted = exits(await cli.run(['run', file], wrong), 5);
    const { elsewhere } = await simulator.stats();
    assert.ok(elsewhere >= 1 && elsewhere <= 5, `${elsewhere} calls`);
    assert.equal((await simulator.stats()).creates, before.creates);
    assert.match(
      lastLine(halted),
      /^50 rows · 0 task ids · 5 uncertain · 45 pending · paid twice: none known$/,
    );
    assert.match(halted.stderr, /halted: UNCERTAIN_IN_A_ROW/);
    const { gates } = json(exits(await cli.run(['status', 'wrong', '--json'], wrong), 0)) as Status;
    assert.deepEqual(
      gates.map(({ gate }) => gate),
      ['halted'],
    );
  });

  it('stops after ten tries at a URL where no server listens, and leaves the rows pending', async () => {
    const file = await cli.write('nobody.csv', csvOf(50, 'nobody'));
    const nobody = { env: { ...good.env, VIDBATCH_BASE_URL: `http://127.0.0.1:${await freePort()}` } };
    const halted = exits(await cli.run(['run', file, '--attempts', '2'], nobody), 6);
    // Rows that were not tried yet go first, so none has used up its two attempts.
    assert.equal(lastLine(halted), '50 rows · 0 task ids · 50 pending · paid twice: none known');
    assert.match(
      halted.stderr,
      /halted: NOBODY_ANSWERS: no answer from \S+: 10 tries in a row did not reach it, the last: \S+ refuses connections/,
    );
    const again = exits(await cli.run(['run', file, '--attempts', '2'], nobody), 6);
    assert.match(lastLine(again), / · 50 pending · /);
  });
});

describe('a batch that stops', async () => {
  const cli = await openCliOnPostgres('--fault', 'policy=1');
  after(cli.close);

  it('is reported by the run that was stopped, and by the worker that has no other rows', async () => {
    const file = await cli.write('k.csv', csvOf(20, 'k'));
    const stopped = exits(await cli.run(['run', file, '--canary', '3', '--rate', '9/s']), 6);
    assert.match(
      stopped.stderr,
      /^k: stopped: row k-1 failed, and the first 3 rows must be accepted before the rest: .+: correct the manifest and submit it again, or `vidbatch resume k` continues as it is$/m,
    );
    const receipt = stopped.stderr.split('\n').filter((line) => line.startsWith('k: '));
    assert.equal(receipt.join('\n').match(/prompt policy violation/g)?.length, 1, 'the reason is told once');
    const { stderr } = exits(await cli.run(['work', '--drain']), 6);
    assert.match(stderr, /"event":"waiting","batch":"k","gate":"stopped","reason":"row k-1 failed/);
    const { stdout } = exits(await cli.run(['status', 'k']), 0);
    assert.doesNotMatch(stdout, /limits/, 'nobody is left who goes by them');
  });
});
