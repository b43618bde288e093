import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, describe, it } from 'node:test';
import { exits, VIDBATCH } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

/** More rows than fit the first megabyte of a journal, which the limit allows; the second it does not. */
const ROWS = 1_500;
const LIMITED = `trap '' XFSZ; ulimit -S -f 3000; exec "$@"`;

describe('a disk that has no room for the journal', async () => {
  const cli = await openCliOnPostgres();
  after(() => cli.close());

  it('stops the claims, not rows in flight; the run continues when there is room again', async () => {
    const file = await cli.write('full.csv', csvOf(ROWS, 'full'));
    const running = cli.start(['run', file], {
      program: ['sh', '-c', LIMITED, 'sh', ...VIDBATCH],
    });
    await running.says(/"event":"journal-full"/);
    const { accepted } = cli.simulator;
    assert.ok(accepted().length < ROWS, 'the journal was never full');

    execFileSync('prlimit', ['--pid', String(running.pid), '--fsize=unlimited:']);
    const ended = exits(await running.ended, 0);
    assert.deepEqual([accepted().length, paidTwice(accepted())], [ROWS, []]);
    assert.match(ended.stdout, /1,500 rows · 1,500 task ids · paid twice: none known/);
    assert.equal(ended.stderr.match(/"event":"journal-full"/g)?.length, 1, 'said once');
    assert.doesNotMatch(ended.stderr, /"event":"(uncertain|journal-failed)"/);
  });
});
