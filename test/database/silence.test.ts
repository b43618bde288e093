import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { Pool } from 'pg';
import { Outage } from '../../src/database/outage.ts';
import { watchedClient } from '../../src/database/postgres/watched-client.ts';
import { openRedis } from '../../src/worker/queue/redis/client.ts';
import { hear } from '../contract/log.ts';
import { startServer } from '../servers.ts';

const SILENCE_MS = 300;

/** An open connection on which nothing is answered any more: nothing but the program itself can notice. */
describe('a server that is suspended', async () => {
  const [redis, postgres] = await Promise.all([startServer('redis'), startServer('postgres')]);
  after(() => Promise.all([redis.stop(), postgres.stop()]));

  it('is noticed, and commands to Redis are repeated when it continues', async () => {
    const client = openRedis(redis.url, { silenceMs: SILENCE_MS });
    const noticed = Promise.withResolvers<Error>();
    client.on('error', noticed.resolve);
    await client.connect();
    assert.equal(await client.ping(), 'PONG');
    process.kill(redis.pid, 'SIGSTOP');
    const answer = client.set('key', 'value');
    assert.match((await noticed.promise).message, /Socket timeout/);
    process.kill(redis.pid, 'SIGCONT');
    assert.equal(await answer, 'OK');
    client.disconnect();
  });

  for (const direct of [true, false]) {
    it(`is noticed, but a long statement is not ended: ${direct ? 'Postgres' : 'behind a pooler'}`, async () => {
      const heard = hear();
      const outage = new Outage('ledger', 'Postgres');
      outage.logTo(heard.log);
      const Client = watchedClient({ outage, direct, silenceMs: SILENCE_MS });
      const pool = new Pool({ connectionString: postgres.url, max: 1, Client });
      pool.on('error', () => undefined);
      const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid, pg_sleep(1.5)');
      assert.equal(heard.lines.length, 0);
      // Of the server only this one process when it can be told from the others, otherwise all.
      const pids = direct ? [rows[0]?.pid ?? 0] : [rows[0]?.pid ?? 0, postgres.pid];
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      await assert.rejects(pool.query('select 1'), /Connection terminated/);
      await heard.event('ledger-away');
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      assert.deepEqual((await pool.query('select 1 as one')).rows, [{ one: 1 }]);
      outage.close();
      await pool.end();
    });
  }

  it('does not end the process when it goes away after all listeners were removed', async () => {
    const outage = new Outage('ledger', 'Postgres');
    const pool = new Pool({
      connectionString: postgres.url,
      max: 2,
      Client: watchedClient({ outage, direct: true }),
    });
    const client = await pool.connect();
    client.removeAllListeners('error');
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const ended = new Promise((resolve) => void client.once('end', resolve));
    await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await ended;
    client.release(true);
    await pool.end();
    outage.close();
  });

  it('does not end the process when it goes away while a connection is being opened', async (t) => {
    // It says that it is ready, and leaves when it is sent the settings of the session.
    const server = createServer((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1'));
        socket.once('data', () => socket.destroy());
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const outage = new Outage('ledger', 'Postgres');
    const Client = watchedClient({ outage, direct: true, settings: 'set statement_timeout = 0' });
    const pool = new Pool({ host: '127.0.0.1', port, Client });
    await assert.rejects(pool.connect(), /Connection terminated/);
    await pool.end();
    outage.close();
  });
});
