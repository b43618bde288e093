import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Pool } from 'pg';
import { PreparedPool } from '../../src/database/prepared-statements.ts';
import { createDatabase, servers } from '../servers.ts';

const database = await createDatabase(await servers());
const pool = new Pool({ connectionString: database.url, max: 1 });
pool.on('error', () => undefined);
const db = new PreparedPool(pool);
after(async () => {
  await db.end();
  await database.drop();
});

test('a statement is planned once a connection, and again after a migration that changes its result', async () => {
  await db.query('create table thing (id integer, size integer)');
  await db.query('insert into thing values (1, 2)');
  const ask = 'select * from thing where id = $1';
  const kept = async (): Promise<number> => {
    const { rows } = await db.query<{ n: number }>(
      'select count(*)::int as n from pg_prepared_statements where statement = $1',
      [ask],
    );
    return rows[0]?.n ?? 0;
  };
  for (let times = 0; times < 3; times += 1) {
    assert.deepEqual((await db.query(ask, [1])).rows, [{ id: 1, size: 2 }]);
  }
  assert.equal(await kept(), 1);
  await db.query('alter table thing add column name text');
  await assert.rejects(db.query(ask, [1]), /cached plan must not change result type/);
  assert.deepEqual((await db.query(ask, [1])).rows, [{ id: 1, size: 2, name: null }]);
});

test('a statement runs again after its session was reset', async () => {
  const ask = 'select $1::int + 1 as more';
  assert.deepEqual((await db.query(ask, [1])).rows, [{ more: 2 }]);
  await db.query('deallocate all');
  await assert.rejects(db.query(ask, [1]), /does not exist/);
  assert.deepEqual((await db.query(ask, [1])).rows, [{ more: 2 }]);
});
