import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Pool, type PoolClient } from 'pg';
import { connectionLost } from '../../src/database/connection-errors.ts';
import { usageError } from '../../src/core/errors.ts';
import { freePort } from '../provider/fixture.ts';
import { createDatabase, servers } from '../servers.ts';
import { transaction } from '../../src/database/database.ts';
import { openStorage } from '../contract/storages.ts';

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

  it('to Postgres is reported when the server ends it, when it is used again, and when the server is gone', async () => {
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

  it('to Redis is reported', async () => {
    const redis = new Redis(`redis://127.0.0.1:${await freePort()}`, {
      lazyConnect: true,
      retryStrategy: () => null,
    });
    redis.on('error', () => undefined);
    await errorOf(redis.connect());
    assert.equal(connectionLost(await errorOf(redis.ping()))?.code, 'CONNECTION_LOST');
  });

  it('is not reported for other errors', async () => {
    assert.equal(connectionLost(await errorOf(pool.query('select 1 / 0'))), undefined);
    assert.equal(connectionLost(usageError('SOMETHING', 'ECONNRESET')), undefined);
    assert.equal(connectionLost('ECONNRESET'), undefined);
  });
});

describe('a connection to Postgres that breaks between two statements of a transaction', async () => {
  const storage = await openStorage('postgres');
  const server = new Pool({ connectionString: storage.config.databaseUrl, max: 1 });
  after(async () => {
    await server.end();
    await storage.close();
  });
  const queue = storage.store.kind === 'postgres' ? storage.store.pool : undefined;

  for (const [name, pool] of Object.entries({ ledger: storage.db, queue })) {
    it(`fails the transaction, and not the process: ${name}`, async () => {
      assert.ok(pool);
      const database = pool as typeof storage.db;
      await assert.rejects(
        transaction(database, async (session) => {
          const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
          // Not by `once` of node:events, which would listen for the error, too.
          const ended = new Promise((resolve) => (session as unknown as PoolClient).once('end', resolve));
          await server.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
          await ended;
          await session.query('select 1');
        }),
        /not queryable/,
      );
      assert.equal((await database.query<{ one: number }>('select 1 as one')).rows[0]?.one, 1);
    });
  }
});
