import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { exits, openCli, type Ended } from '../cli.ts';
import { createDatabase, servers, startServer } from '../servers.ts';
import { csvOf } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const KEY = 'sk-Zq7vX2mTheKeyThatMustNotLeak9Lw';
/** Of every row: whoever looks for the key and does not find this one has looked in the wrong place. */
const PROMPT = 'the shot leak-1';

describe('the API key', async () => {
  const shared = await servers();
  const own = await startServer('redis');
  const simulator = await startSimulatorProcess('--key', KEY);
  after(async () => {
    await simulator.close();
    await own.stop();
  });

  /** What a whole life of a batch says: accepted, refused, lost, halted with a wrong key, and looked at. */
  async function live(cli: Awaited<ReturnType<typeof openCli>>): Promise<string> {
    await simulator.clearRules();
    await simulator.addRule({ fault: 'policy', match: { prompt: 'leak-2' } });
    await simulator.addRule({ fault: 'reset-after-body:created', match: { prompt: 'leak-3' } });
    const file = await cli.write('leak.csv', csvOf(4, 'leak'));
    const more = await cli.write('more.csv', csvOf(1, 'more'));
    const wrong = { env: { VIDBATCH_API_KEY: `${KEY}-wrong` } };
    const said: Ended[] = [
      // A run removes its queue at its end; what all workers share stays.
      exits(await cli.run(['submit', file, '--log-level', 'trace']), 0),
      exits(await cli.run(['work', '--drain', '--log-level', 'trace']), 5),
      exits(await cli.run(['run', more, '--log-level', 'trace'], wrong), 6),
      exits(await cli.run(['reconcile', '--log-level', 'trace']), 0),
      exits(await cli.run(['explain', 'leak', 'leak-3', '--json']), 0),
      exits(await cli.run(['export', 'leak', '--format', 'jsonl']), 0),
    ];
    return said.map(({ stdout, stderr }) => stdout + stderr).join('\n');
  }

  it('is in no output and in no file of an embedded ledger', async () => {
    const cli = await openCli({ VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: KEY }, { ledger: true });
    try {
      hides(await live(cli));
      const files = await readdir(join(cli.folder, '.vidbatch'), { recursive: true, withFileTypes: true });
      const texts = await Promise.all(
        files
          .filter((file) => file.isFile())
          .map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
      );
      hides(texts.join('\n'));
    } finally {
      await cli.close();
    }
  });

  it('is in no output, and neither in Redis nor in Postgres', async () => {
    const database = await createDatabase(shared);
    const cli = await openCli({
      VIDBATCH_BASE_URL: simulator.url,
      VIDBATCH_API_KEY: KEY,
      REDIS_URL: own.url,
      DATABASE_URL: database.url,
    });
    try {
      hides(await live(cli));
      hides(await everythingInRedis(own.url));
      hides(await everythingInPostgres(database.url));
    } finally {
      await cli.close();
      await database.drop();
    }
  });
});

function hides(text: string): void {
  assert.ok(text.includes(PROMPT), 'what should hold the prompts does not');
  assert.ok(!text.includes(KEY), 'the key is there');
  assert.ok(!text.includes(Buffer.from(KEY).toString('base64').slice(0, 20)), 'the key is there, in base64');
}

async function everythingInRedis(url: string): Promise<string> {
  const redis = new Redis(url);
  try {
    const said: string[] = [];
    for (const key of await redis.keys('*')) {
      const type = await redis.type(key);
      if (type === 'string') said.push((await redis.get(key)) ?? '');
      else if (type === 'hash') said.push(JSON.stringify(await redis.hgetall(key)));
      else if (type === 'list') said.push(...(await redis.lrange(key, 0, -1)));
      else if (type === 'zset') said.push(...(await redis.zrange(key, '0', '-1')));
      else if (type === 'set') said.push(...(await redis.smembers(key)));
      else if (type === 'stream') said.push(JSON.stringify(await redis.xrange(key, '-', '+')));
      else assert.fail(`${key} is of the type ${type}`);
    }
    return said.join('\n');
  } finally {
    redis.disconnect();
  }
}

async function everythingInPostgres(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, relname) as name from pg_stat_user_tables`,
    );
    const said: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ text: string }>(`select t::text as text from ${name} t`);
      said.push(...rows.map(({ text }) => text));
    }
    return said.join('\n');
  } finally {
    await client.end();
  }
}
