import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { exits, openCli } from '../cli.ts';
import { createDatabase, servers } from '../servers.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

/** Port 1 is reserved: nothing listens there. */
const AWAY = 'redis://127.0.0.1:1';
const SAID = /^Redis at 127\.0\.0\.1:1 is away; shown from the ledger$/gm;

describe('while Redis is away', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  before(async () => {
    exits(await cli.run(['run', await cli.write('sent.csv', csvOf(2, 'sent'))]), 0);
    exits(await cli.run(['submit', await cli.write('held.csv', csvOf(3, 'held'))]), 0);
  });

  for (const [command, ...args] of [
    ['status'],
    ['explain', 'sent', 'sent-1'],
    ['uncertain'],
    ['cost', '--by', 'day'],
    ['failures'],
    ['workers'],
    ['find', 'sent'],
    ['report', 'sent'],
    ['export', 'sent'],
    ['verify'],
    ['plan', 'sent.csv'],
    ['pause', 'held'],
    ['resume', 'held'],
    ['cancel', 'held', '--yes'],
    ['retry', 'held', '--yes'],
    ['reconcile', 'sent'],
    ['schedule', 'add', 'nightly', 'sent.csv', '--cron', '0 23 * * *', '--tz', 'UTC'],
    ['schedule', 'list'],
    ['schedule', 'pause', 'nightly'],
  ] as [string, ...string[]][]) {
    it(`${command} ${args[0] ?? ''} works with the ledger alone, and says so in one line`, async () => {
      const ended = exits(await cli.run([command, ...args], { env: { REDIS_URL: AWAY } }), 0);
      assert.equal([...ended.stderr.matchAll(SAID)].length, 1, ended.stderr);
      assert.notEqual(ended.stdout + ended.stderr.replace(SAID, '').trim(), '');
    });
  }

  it('resolve asks the ledger alone', async () => {
    const env = { REDIS_URL: AWAY };
    const args = ['resolve', 'sent', 'sent-1', '--abandon', '--reason', 'a test'];
    const ended = exits(await cli.run(args, { env }), 2);
    assert.match(ended.stderr, /\[NOT_UNCERTAIN\]/);
  });

  it('a pause that was said meanwhile holds once Redis is back', async () => {
    exits(await cli.run(['pause', 'held'], { env: { REDIS_URL: AWAY } }), 0);
    const shared = await servers();
    const ended = await cli.run(['run', 'held.csv', '--no-wait'], { env: { REDIS_URL: shared.redisUrl } });
    assert.match(exits(ended, 6).stderr, /paused: the batch is paused/);
    assert.equal(cli.simulator.accepted().length, 2);
  });
});

describe('a command that needs the ledger alone', async () => {
  const database = await createDatabase(await servers());
  const place = await openCli({ DATABASE_URL: database.url });
  after(async () => {
    await place.close();
    await database.drop();
  });

  it('makes no schema of a queue in Postgres', async () => {
    const shared = await servers();
    exits(await place.run(['migrate'], { env: { REDIS_URL: shared.redisUrl } }), 0);
    const commands = [
      ['status'],
      ['uncertain'],
      ['verify'],
      ['schedule', 'list'],
      ['pause'],
      ['resume'],
      ['cancel', '--yes'],
    ];
    for (const command of commands) exits(await place.run(command), 0);
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from information_schema.schemata where schema_name = 'bullmq'`,
    );
    await client.end();
    assert.deepEqual(rows, [{ n: 0 }]);
  });
});

describe('an embedded folder without a ledger', () => {
  it('is left as it is by a command that only looks', async () => {
    const place = await openCli();
    try {
      const folder = join(place.folder, '.vidbatch');
      await mkdir(folder, { mode: 0o700 });
      for (const command of [['status'], ['uncertain'], ['verify'], ['pause'], ['schedule', 'list']]) {
        const ended = exits(await place.run(command), 2);
        assert.match(ended.stderr, /NO_LEDGER/);
      }
      assert.deepEqual(await readdir(folder), []);
    } finally {
      await place.close();
    }
  });
});
