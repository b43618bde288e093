import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { createDatabase, servers, startServer } from './servers.ts';
import { until } from './until.ts';

const shared = await servers();

async function postgresSays(url: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>('select current_database() as name');
  await client.end();
  return rows[0]?.name;
}

async function redisSays(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await redis.ping();
  } finally {
    redis.disconnect();
  }
}

test('a database for a test is made, and is gone after it is dropped', async () => {
  const { url, drop } = await createDatabase(shared);
  assert.equal(`/${String(await postgresSays(url))}`, new URL(url).pathname);
  await drop();
  await assert.rejects(postgresSays(url), { code: '3D000' });
});

test('a server for a test can be killed and started again at the same place', async () => {
  const redis = await startServer('redis');
  assert.equal(await redisSays(redis.url), 'PONG');
  const { pid } = redis;
  await redis.kill();
  await assert.rejects(redisSays(redis.url));
  await redis.restart();
  assert.notEqual(redis.pid, pid);
  assert.equal(await redisSays(redis.url), 'PONG');
  await redis.stop();
  await redis.stop();
  await assert.rejects(redisSays(redis.url));
});

test('a server that a test starts ends with the process that holds it', async () => {
  const code = `
    const { startServer } = await import(${JSON.stringify(new URL('servers.ts', import.meta.url).href)});
    const [redis, postgres] = await Promise.all([startServer('redis'), startServer('postgres')]);
    console.log(JSON.stringify([redis, postgres]));
    setInterval(() => undefined, 1000);`;
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  const [line] = (await once(createInterface({ input: holder.stdout }), 'line')) as [string];
  const [redis, postgres] = JSON.parse(line) as { url: string; pid: number }[];
  assert.equal(await redisSays(redis?.url ?? ''), 'PONG');
  assert.equal(await postgresSays(postgres?.url ?? ''), 'postgres');
  holder.kill('SIGKILL');
  for (const one of [redis, postgres]) {
    const alive = (): boolean => {
      try {
        return process.kill(one?.pid ?? 0, 0);
      } catch {
        return false;
      }
    };
    await until(() => !alive());
  }
});
