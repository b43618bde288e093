import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { probePostgres } from '../../src/database/postgres/probe.ts';
import { parsePostgresUrl } from '../../src/database/postgres/url.ts';
import { openQueuePool } from '../../src/database/postgres/connect.ts';
import { Outage } from '../../src/database/outage.ts';
import { connectRedis } from '../../src/worker/queue/redis/client.ts';
import { probeRedis } from '../../src/worker/queue/redis/probe.ts';
import { parseRedisUrl } from '../../src/worker/queue/redis/url.ts';
import { startServer, servers, type OwnServer } from '../servers.ts';

const PASSWORD = 'p@ss:w/o#r%d';

/** Refused with this code, in one line with a hint, without any password, and within the time that was given. */
async function refused(work: Promise<unknown>, code: string, says: RegExp): Promise<void> {
  const error: unknown = await work.then(
    () => assert.fail(`not refused as ${code}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof VidbatchError, String(error));
  assert.deepEqual([error.code, error.exitCode], [code, 1], error.message);
  assert.match(error.message, says);
  assert.ok(error.hint !== undefined && !error.message.includes('\n'));
  assert.doesNotMatch(`${error.message} ${error.hint}`, /p@ss|p%40ss|wrong-one/);
}

/** Takes every connection, and says nothing. */
async function startSilence(): Promise<{ port: number; close: () => void }> {
  const server = createServer((socket) => void socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  server.unref();
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** As an old Redis, or one that is busy, answers: neither can be had by waiting. */
async function startTalker(info: string): Promise<{ url: string; close: () => void }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.setEncoding('utf8').on('data', (text: string) => {
      for (const [, name = ''] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
        if (name.toLowerCase() === 'hello') socket.write('-ERR unknown command `HELLO`\r\n');
        else if (name.toLowerCase() === 'info') socket.write(`$${info.length}\r\n${info}\r\n`);
        else socket.write('+OK\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  server.unref();
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => server.close(),
  };
}

function changed(url: string, change: (url: URL) => void): string {
  const other = new URL(url);
  change(other);
  return other.href;
}

describe('Redis is refused at once when', async () => {
  const shared = await servers();
  const [locked, secure, silence] = await Promise.all([
    startServer('redis', { password: PASSWORD }),
    startServer('redis', { tls: true }),
    startSilence(),
  ]);
  const replica = await startServer('redis', { replicaOf: Number(new URL(locked.url).port) });
  after(async () => {
    silence.close();
    await Promise.all([locked.stop(), secure.stop(), replica.stop()]);
  });
  const probe = (url: string, ms?: number): Promise<unknown> => probeRedis(parseRedisUrl(url), ms);

  it('the password is missing or wrong', async () => {
    const { host } = new URL(locked.url);
    await refused(probe(`redis://${host}`), 'QUEUE_AUTH', /asks for a password/);
    await refused(probe(`redis://:wrong-one@${host}`), 'QUEUE_AUTH', /refuses the user or the password/);
    await probe(locked.url);
  });

  it('one side speaks TLS and the other does not, or the certificate is not trusted', async () => {
    const { host, port } = new URL(secure.url);
    await refused(probe(`redis://${host}`), 'QUEUE_UNREACHABLE', /closes it without an answer/);
    await refused(probe(`rediss://localhost:${port}`), 'QUEUE_TLS', /certificate that is not trusted/);
    const plain = new URL(shared.redisUrl).host;
    await refused(probe(`rediss://${plain}`, 500), 'QUEUE_UNREACHABLE', /cannot be used/);
  });

  it('it has no such database', async () => {
    const plain = new URL(shared.redisUrl).host;
    await refused(probe(`redis://${plain}/99`), 'QUEUE_NO_DATABASE', /has no database 99/);
    await refused(connectRedis(`redis://${plain}/99`), 'QUEUE_NO_DATABASE', /has no database 99/);
    await probe(`redis://${plain}/1`);
  });

  it('it is a replica', () => refused(probe(replica.url), 'QUEUE_READ_ONLY', /is a replica/));

  it('no server listens, the name is unknown, or the server never answers', async () => {
    await refused(connectRedis('redis://127.0.0.1:1'), 'QUEUE_UNREACHABLE', /ECONNREFUSED/);
    await refused(probe('redis://no.such.host.invalid'), 'QUEUE_UNREACHABLE', /no\.such\.host\.invalid/);
    for (const scheme of ['redis', 'rediss', 'redis+cluster', 'redis+sentinel']) {
      const path = scheme.endsWith('sentinel') ? '/mymaster' : '';
      const url = `${scheme}://:p%40ss@127.0.0.1:${silence.port}${path}`;
      await refused(probe(url, 300), 'QUEUE_UNREACHABLE', /no answer in time/);
    }
  });

  it('the Sentinels do not know the master, or there are no Sentinels', async () => {
    const sentinel = await startServer('redis', { sentinelOf: Number(new URL(shared.redisUrl).port) });
    await probe(sentinel.url);
    await refused(
      probe(sentinel.url.replace('mymaster', 'other')),
      'QUEUE_MASTER_UNKNOWN',
      /know no master of the name other/,
    );
    await sentinel.stop();
    await refused(probe(sentinel.url), 'QUEUE_UNREACHABLE', /All sentinels are unreachable/);
  });

  it('it is too old, or still loading', async () => {
    const old = await startTalker('redis_version:4.0.14\r\nrole:master\r\n');
    await refused(probe(old.url), 'QUEUE_TOO_OLD', /is version 4\.0\.14/);
    const busy = await startTalker('redis_version:7.0.15\r\nrole:master\r\nloading:1\r\n');
    await refused(probe(busy.url), 'QUEUE_LOADING', /is loading its data/);
    old.close();
    busy.close();
  });

  it('it should be a cluster and is not', async () => {
    const { host } = new URL(shared.redisUrl);
    await refused(probe(`redis+cluster://${host}`), 'QUEUE_NOT_CLUSTER', /is not a cluster/);
  });
});

describe('Postgres is refused at once when', async () => {
  const shared = await servers();
  const [secure, silence] = await Promise.all([
    startServer('postgres', { tls: true, password: PASSWORD }),
    startSilence(),
  ]);
  after(async () => {
    silence.close();
    await secure.stop();
  });
  const probe = (url: string, ms?: number): Promise<unknown> => probePostgres(parsePostgresUrl(url), ms);

  it('the password is missing or wrong', async () => {
    const wrong = changed(secure.url, (url) => (url.password = 'wrong-one'));
    await refused(probe(wrong), 'LEDGER_AUTH', /refuses the user or the password/);
    await refused(probe(changed(secure.url, (url) => (url.password = ''))), 'LEDGER_AUTH', /refuses/);
    await probe(secure.url);
  });

  it('one side speaks TLS and the other does not, or the certificate is not trusted', async () => {
    const plain = changed(secure.url, (url) => (url.search = ''));
    await refused(probe(plain), 'LEDGER_TLS', /asks for TLS/);
    for (const mode of ['require', 'verify-ca', 'prefer', 'verify-full']) {
      const untrusted = changed(secure.url, (url) => (url.search = `?sslmode=${mode}`));
      await refused(probe(untrusted), 'LEDGER_TLS', /certificate that is not trusted/);
    }
    await refused(
      probe(changed(shared.databaseUrl, (url) => (url.search = '?sslmode=verify-full'))),
      'LEDGER_TLS',
      /does not speak TLS/,
    );
  });

  it('no server listens, or the server never answers', async () => {
    await refused(probe('postgres://u:p%40ss@127.0.0.1:1/db'), 'LEDGER_UNREACHABLE', /ECONNREFUSED/);
    for (const search of ['', '?sslmode=require']) {
      const url = `postgres://u:p%40ss@127.0.0.1:${silence.port}/db${search}`;
      await refused(probe(url, 300), 'LEDGER_UNREACHABLE', /no answer in time|timeout expired/);
    }
  });

  it('it cannot be written to', async () => {
    const options = '?options=-c%20default_transaction_read_only%3Don';
    await refused(probe(`${shared.databaseUrl}${options}`), 'LEDGER_READ_ONLY', /read-only/);
  });
});

describe('a DATABASE_URL', () => {
  it('that is invalid is refused, and no part of it is repeated', () => {
    for (const url of [
      'mysql://u:s3cret@h/db',
      'postgres://u:s3/cret@h/db',
      'postgres://u:2024/s3cret@h/db',
      'postgres://u:2024?s3cret@h/db',
      'postgres://u:2024/1?s3=cret@h/db',
      'postgres://u:2024#s3cret@h/db',
      'postgres://u:s3cret%zz@h/db',
      'postgres://u:s3cret@h1,h2/db',
      'postgres://u:s3cret@h/db?sslmode=verify-ful',
      'postgres://u:s3cret@h/db?sslrootcert=/no/such/file',
    ]) {
      assert.throws(
        () => parsePostgresUrl(url),
        (error) =>
          error instanceof VidbatchError &&
          error.code === 'BAD_URL' &&
          error.exitCode === 2 &&
          !/s3/.test(error.message),
        url,
      );
    }
  });

  it('that asks for TLS gets it verified, in every mode', () => {
    const url = (text: string): string => parsePostgresUrl(text).url;
    assert.equal(url('postgres://h/db?sslmode=require&a=b'), 'postgres://h/db?sslmode=verify-full&a=b');
    assert.equal(url('postgres://h/db?a=b&sslmode=prefer'), 'postgres://h/db?a=b&sslmode=verify-full');
    assert.equal(url('postgres://h/db?sslmode=no-verify'), 'postgres://h/db?sslmode=no-verify');
    const own = 'postgres://h/db?uselibpqcompat=true&sslmode=require';
    assert.equal(url(own), own);
    assert.equal(parsePostgresUrl('postgres:///db?host=/run/postgresql').name, '/run/postgresql/db');
    assert.equal(parsePostgresUrl('postgres://h/db%2F1?user=me%40here').name, 'h/db%2F1');
  });
});

describe('a pooler before Postgres', async () => {
  const { databaseUrl } = await servers();
  const poolers: OwnServer[] = [];
  after(() => Promise.all(poolers.map((pooler) => pooler.stop())));

  for (const mode of ['session', 'transaction', 'statement'] as const) {
    it(`is recognised by what it does with sessions: ${mode}`, async () => {
      const pooler = await startServer('pgbouncer', { pool: { url: databaseUrl, mode } });
      poolers.push(pooler);
      const place = parsePostgresUrl(pooler.url);
      const report = await probePostgres(place);
      assert.equal(report.pooler, mode);
      const server = { place, report, outage: new Outage('ledger', place.name) };
      if (mode === 'session') await openQueuePool(server).end();
      else assert.throws(() => openQueuePool(server), { code: 'POOLER_TRANSACTIONS', exitCode: 1 });
    });
  }

  it('is not found where there is no pooler', async () => {
    assert.equal((await probePostgres(parsePostgresUrl(databaseUrl))).pooler, 'none');
  });
});
