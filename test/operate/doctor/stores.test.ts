import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import type { Queryable } from '../../../src/database/database.ts';
import { migrateLedger } from '../../../src/ledger/migrate.ts';
import { migrateQueue } from '../../../src/worker/queue/store.ts';
import { exits, openCli } from '../../cli.ts';
import { createDatabase, servers, startServer } from '../../servers.ts';
import { examined, told } from './patient.ts';

describe('a real Redis', async () => {
  const server = await startServer('redis', { settings: { 'maxmemory-policy': 'allkeys-lru' } });
  const redis = new Redis(server.url);
  after(async () => {
    redis.disconnect();
    await server.stop();
  });
  const folder = { VIDBATCH_DATA_DIR: '/nowhere/vidbatch' };

  it('that evicts keys fails the check, and its other facts are shown', async () => {
    const checks = await examined({ ...folder, REDIS_URL: server.url });
    assert.match(
      told(checks, 'redis'),
      /^\w+: Redis \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+, [\d.]+ ms, without TLS$/,
    );
    assert.match(told(checks, 'redis-eviction'), /^failed: maxmemory-policy is allkeys-lru/);
    assert.match(told(checks, 'redis-role'), /^ok: a primary$/);
    assert.match(told(checks, 'redis-memory'), /^ok: [\d.]+ MiB used, no limit of its own$/);
    assert.match(told(checks, 'redis-persistence'), /^ok: no persistence, which is not needed/);
    assert.match(told(checks, 'redis-scripts'), /^ok/);
  });

  it('whose settings may not be read is asked in other ways', async () => {
    await redis.call('ACL', 'SETUSER', 'app', 'on', '>hunter2', '~bull:*', '+@all', '-config');
    const url = new URL(server.url);
    Object.assign(url, { username: 'app', password: 'hunter2' });
    const checks = await examined({ ...folder, REDIS_URL: url.href });
    assert.match(told(checks, 'redis-eviction'), /^failed: maxmemory-policy is allkeys-lru/);
    assert.match(told(checks, 'redis-persistence'), /^ok: unknown, and not needed$/);
    assert.match(told(checks, 'redis-scripts'), /^ok/);
    assert.doesNotMatch(JSON.stringify([...checks]), /hunter2/);
  });

  it('that does not let a user run scripts, or refuses the password, says so', async () => {
    await redis.call('ACL', 'SETUSER', 'reader', 'on', '>hunter2', '~*', '+@read', '+@connection', '+info');
    const url = new URL(server.url);
    Object.assign(url, { username: 'reader', password: 'hunter2' });
    assert.match(
      told(await examined({ ...folder, REDIS_URL: url.href }), 'redis-scripts'),
      /^failed: .*NOPERM/,
    );
    url.password = 'hunter3';
    const checks = await examined({ ...folder, REDIS_URL: url.href });
    assert.match(told(checks, 'redis'), /^failed: .*WRONGPASS/);
    assert.doesNotMatch(JSON.stringify([...checks]), /hunter[23]/);
  });

  it('that is a replica fails', async () => {
    await redis.replicaof('127.0.0.1', 1);
    assert.match(
      told(await examined({ ...folder, REDIS_URL: server.url }), 'redis-role'),
      /^failed: it is a slave/,
    );
    await redis.replicaof('NO', 'ONE');
  });
});

describe('a real Postgres', async () => {
  const server = await startServer('postgres', {
    settings: {
      fsync: 'on',
      full_page_writes: 'on',
      wal_sync_method: 'fdatasync',
      synchronous_commit: 'off',
    },
  });
  const pool = new Pool({ connectionString: server.url, max: 1 });
  const db: Queryable = pool;
  after(async () => {
    await pool.end();
    await server.stop();
  });
  const look = (over: Record<string, string> = {}): ReturnType<typeof examined> =>
    examined({ DATABASE_URL: server.url, VIDBATCH_DATA_DIR: '/nowhere/vidbatch', ...over });

  it('without a ledger is reported, and gets no ledger', async () => {
    const checks = await look();
    assert.match(
      told(checks, 'postgres'),
      /^\w+: Postgres \d+\.\d+ at 127\.0\.0\.1:\d+\/postgres, [\d.]+ ms, without TLS$/,
    );
    assert.match(told(checks, 'postgres-writing'), /^ok: this user may make the ledger/);
    assert.match(told(checks, 'ledger'), /^warning: there is no ledger yet/);
    assert.equal(told(checks, 'gates'), 'skipped: there is no ledger to ask');
    const { rows } = await db.query(`select from pg_namespace where nspname in ('vidbatch', 'bullmq')`);
    assert.equal(rows.length, 0);
  });

  it('that forgets what it committed fails, also when only this user’s sessions do', async () => {
    assert.match(
      told(await look(), 'postgres-durability'),
      /^failed: synchronous_commit is off \(command line\)/,
    );
    await db.query('alter role postgres set synchronous_commit = on');
    assert.match(told(await look(), 'postgres-durability'), /^ok/);
    await db.query('alter role postgres in database postgres set synchronous_commit = off');
    assert.match(
      told(await look(), 'postgres-durability'),
      /^failed: synchronous_commit is off \(database user\)/,
    );
    await db.query('alter role postgres in database postgres set synchronous_commit = on');
  });

  it('with a ledger that lacks a migration says which', async () => {
    await migrateLedger(pool);
    await migrateQueue(pool);
    assert.match(told(await look(), 'ledger'), /^ok: at version \d+$/);
    assert.match(told(await look(), 'queue-schema'), /^ok: at version \d+$/);
    await db.query(
      'begin; create table kept as table vidbatch.migration; delete from vidbatch.migration; commit',
    );
    const checks = await look();
    assert.match(told(checks, 'ledger'), /^failed: not migrated yet: 001-schema\.sql/);
    assert.equal(told(checks, 'queue'), 'nothing');
    await db.query('insert into vidbatch.migration select * from kept; drop table kept');
    await db.query('drop schema bullmq cascade');
    assert.match(told(await look(), 'queue-schema'), /^failed: BullMQ’s schema is not there/);
  });

  it('with too little room and a read-only user is reported with both faults', async () => {
    await db.query(`create role visitor login connection limit 3`);
    await db.query('grant usage on schema vidbatch to visitor');
    await db.query('grant select on all tables in schema vidbatch to visitor');
    const url = new URL(server.url);
    url.username = 'visitor';
    const checks = await look({ DATABASE_URL: url.href });
    assert.match(told(checks, 'postgres-writing'), /^failed: this user may not write attempt, batch/);
    assert.match(
      told(checks, 'postgres-connections'),
      /^warning: \d+ of 3 connections are open; a worker opens up to 15/,
    );
    await db.query('alter role visitor set default_transaction_read_only = on');
    assert.match(
      told(await look({ DATABASE_URL: url.href }), 'postgres-writing'),
      /^failed: .*sessions of this user are read-only/,
    );
  });

  it('with shut gates and rows that need a person is reported with both', async () => {
    await db.query(`update vidbatch.meta set paused_at = now()`);
    await db.query(
      `insert into vidbatch.provider (origin, state) values ('https://api.example.com', 'halted')`,
    );
    await db.query(
      `insert into vidbatch.halt (origin, code, reason, http_status)
       values ('https://api.example.com', 'invalid_api_key', 'Invalid token', 401)`,
    );
    assert.equal(
      told(await look(), 'gates'),
      'warning: https://api.example.com is halted: invalid_api_key (HTTP 401): Invalid token',
    );
    await db.query(`delete from vidbatch.halt; delete from vidbatch.provider`);
    assert.equal(told(await look(), 'gates'), 'warning: everything is paused');
    await db.query(`update vidbatch.meta set paused_at = null, paused_models = '{viduq3p-540p}'`);
    assert.equal(told(await look(), 'gates'), 'warning: paused models: viduq3p-540p');
    await db.query(`update vidbatch.meta set paused_models = '{}'`);
    assert.equal(told(await look(), 'gates'), 'ok: nothing is paused, halted or throttled');
  });

  it('that refuses the user is one failed check, without the password', async () => {
    const url = new URL(server.url);
    Object.assign(url, { username: 'nobody', password: 'hunter2' });
    const checks = await look({ DATABASE_URL: url.href });
    assert.match(told(checks, 'postgres'), /^failed: .*role "nobody" does not exist/);
    assert.doesNotMatch(JSON.stringify([...checks]), /hunter2/);
  });
});

describe('queues on one Redis', async () => {
  const shared = await servers();
  const database = await createDatabase(shared);
  const cli = await openCli({ DATABASE_URL: database.url, REDIS_URL: shared.redisUrl });
  const redis = new Redis(shared.redisUrl);
  const env = { ...cli.env, VIDBATCH_DATA_DIR: cli.folder };
  after(async () => {
    redis.disconnect();
    await cli.close();
    await database.drop();
  });

  it('are listed by kind: waiting jobs, jobs without a feeder, and jobs of another ledger', async () => {
    const { ledgerId } = JSON.parse(exits(await cli.run(['migrate', '--json']), 0).stdout) as {
      ledgerId: string;
    };
    const own = `bull:vidbatch-${ledgerId}`;
    await redis.hset(`${own}-run-7:meta`, 'version', 'bullmq');
    await redis.rpush(`${own}-run-7:wait`, 'b1-5-aaaa', 'b2-5-bbbb');
    await redis.hset(`${own}-schedule:meta`, 'version', 'bullmq');
    await redis.rpush(`${own}-schedule:wait`, 'nightly');
    await redis.hset(`${own}:meta`, 'paused', '1');
    await redis.hset('bull:vidbatch-cafe012345:meta', 'version', 'bullmq');
    const before = await redis.keys(`${own}*`);
    const checks = await examined(env);
    assert.equal(told(checks, 'queue'), 'ok: 3 jobs to do in 3 queues');
    assert.match(told(checks, 'queue-paused'), /is paused: its jobs wait$/);
    assert.match(
      told(checks, 'queue-orphans'),
      new RegExp(`2 jobs in queues that no worker feeds: vidbatch-${ledgerId}-run-7$`),
    );
    assert.match(told(checks, 'queue-neighbours'), /cafe012345/);
    assert.deepEqual((await redis.keys(`${own}*`)).sort(), before.sort(), 'nothing was written');
    await redis.del(...before, 'bull:vidbatch-cafe012345:meta');
  });
});
