import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import { transaction } from '../../src/database/database.ts';
import { openStorage } from '../contract/storages.ts';

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
