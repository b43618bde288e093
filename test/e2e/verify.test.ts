import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Client } from 'pg';
import { exits, jsonLines, lastLine, type Ended } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const KEY = 'sk-TheKeyThatVerifyMustNotShow';

describe('verify', async () => {
  const cli = await openCliOnPostgres();
  const db = new Client({ connectionString: cli.databaseUrl });
  await db.connect();
  after(async () => {
    await db.end();
    await cli.close();
  });
  const verify = (...args: string[]): Promise<Ended> =>
    cli.run(['verify', ...args], { env: { VIDBATCH_API_KEY: KEY } });

  it('finds nothing after a run, also at the provider, where it only asks', async () => {
    exits(await cli.run(['run', await cli.write('shots.csv', csvOf(5, 'shots'))]), 0);
    const { creates } = await cli.simulator.stats();
    const ended = exits(await verify('--provider'), 0);
    assert.equal(
      lastLine(ended),
      'checked: 5 rows · 1 journal · 0 jobs · 5 tasks polled · 0 unanswered · every invariant holds',
    );
    assert.equal(exits(await verify('shots', '--json'), 0).stdout, '');
    assert.equal((await cli.simulator.stats()).creates, creates);
  });

  it('lists what is broken with exit code 1, three examples of each for people, all of them as JSON', async () => {
    await db.query(`update vidbatch.row_state set attempts = attempts + 1`);
    const told = exits(await verify(), 1);
    assert.equal(
      told.stdout.match(
        /^BROKEN shots shots-\d: counts 2 attempts, and its last is number 1 \[attempts-counted\]$/gm,
      )?.length,
      3,
    );
    assert.match(told.stdout, /^BROKEN … and 2 more \[attempts-counted\]; --json lists all$/m);
    assert.match(told.stderr, /\[LEDGER_BROKEN\]/);
    const lines = jsonLines<Record<string, unknown>>(exits(await verify('--json'), 1).stdout);
    assert.equal(lines.length, 5);
    assert.deepEqual(Object.keys(lines[0] ?? {}), [
      'invariant',
      'severity',
      'batch',
      'key',
      'attempt',
      'what',
      'next',
    ]);
    assert.ok(
      lines.every(({ batch, next }) => batch === 'shots' && String(next).startsWith('vidbatch work ')),
    );
    await db.query('update vidbatch.row_state set attempts = attempts - 1');
  });

  it('ends with 7 when the provider contradicts the ledger, and with 5 when a task id may be lost', async () => {
    await db.query(
      `update vidbatch.row_state set provider_status = 'failed' where id = (select id from vidbatch.row where row_key = 'shots-1')`,
    );
    assert.match(
      exits(await verify('--provider'), 7).stdout,
      /^differs shots shots-1: task \S+ was failed, and/m,
    );
    await db.query(`update vidbatch.attempt set outcome = null, task_id = null, finished_at = null`);
    const told = exits(await verify('--provider'), 5);
    assert.match(
      told.stdout,
      /^RISK shots shots-1: attempt 1 is accepted as task \S+ in the journal, but no answer in the ledger/m,
    );
    assert.ok(!(told.stdout + told.stderr).includes(KEY));
  });

  it('finds nothing while a worker sends rows', async () => {
    const file = await cli.write('many.csv', csvOf(400, 'many'));
    const worker = cli.start(['run', file, '--log-level', 'info', '--concurrency', '2', '--rate', '40/s']);
    await worker.says(/"event":"accepted"/, 20);
    const meanwhile = exits(await verify('many', '--json'), 0);
    worker.kill('SIGKILL');
    assert.match((await worker.ended).signal ?? '', /KILL/, 'it was at it all the time');
    const told = jsonLines<{ severity: string }>(meanwhile.stdout);
    assert.deepEqual(
      told.filter(({ severity }) => severity !== 'note'),
      [],
    );
  });

  it('names what is missing: an unknown batch, a provider that is not configured', async () => {
    assert.match(exits(await verify('shosts'), 2).stderr, /Did you mean shots\?/);
    const env = { VIDBATCH_BASE_URL: '' };
    assert.match(exits(await cli.run(['verify', '--provider'], { env }), 2).stderr, /\[NO_BASE_URL\]/);
  });
});
