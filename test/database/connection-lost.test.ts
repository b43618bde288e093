import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { connectionLost } from '../../src/database/connection-errors.ts';
import { usageError } from '../../src/core/errors.ts';
import { freePort } from '../provider/fixture.ts';
import { createDatabase, servers } from '../servers.ts';

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail('did not fail'),
    (error: unknown) => error,
  );
}

describe('a connection that broke', async () => {
  const database = await createDatabase(await servers());
  const pool = new Pool({ connectionString: database.url, max: 1 });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  after(async () => {
    await pool.end();
    await database.drop();
  });

  it('is told as such when Postgres ends it, when it is used once more, and when nobody listens', async () => {
    const client = await pool.connect();
    const ended = await errorOf(client.query('select pg_terminate_backend(pg_backend_pid())'));
    const again = await errorOf(client.query('select 1'));
    client.release(true);
    const nobody = new Pool({ connectionString: `postgres://root@127.0.0.1:${await freePort()}/none` });
    const refused = await errorOf(nobody.query('select 1'));
    await nobody.end();
    for (const error of [ended, again, refused]) {
      const told = connectionLost(error);
      assert.equal(told?.code, 'CONNECTION_LOST', String(error));
      assert.match(told.hint ?? '', /run the same command again/);
    }
  });

  it('to Redis is told as such', async () => {
    const redis = new Redis(`redis://127.0.0.1:${await freePort()}`, {
      lazyConnect: true,
      retryStrategy: () => null,
    });
    redis.on('error', () => undefined);
    await errorOf(redis.connect());
    assert.equal(connectionLost(await errorOf(redis.ping()))?.code, 'CONNECTION_LOST');
  });

  it('is not what every error is', async () => {
    assert.equal(connectionLost(await errorOf(pool.query('select 1 / 0'))), undefined);
    assert.equal(connectionLost(usageError('SOMETHING', 'ECONNRESET')), undefined);
    assert.equal(connectionLost('ECONNRESET'), undefined);
  });
});
