import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { startCluster } from '../cluster.ts';
import { countsOf, exits, openCli, type Ended, type Cli } from '../cli.ts';
import { createDatabase, servers, startServer } from '../servers.ts';
import { until } from '../until.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

describe('a batch is sent, each row once, with its queue and its ledger', async () => {
  const { databaseUrl } = await servers();
  const simulator = await startSimulatorProcess('--latency', '5ms-15ms');
  after(simulator.close);

  /** A place of its own, with an empty ledger on that server. */
  async function within(
    env: Record<string, string>,
    work: (cli: Cli) => Promise<void>,
    server = databaseUrl,
  ): Promise<void> {
    const database = await createDatabase({ databaseUrl: server });
    const cli = await openCli({
      DATABASE_URL: database.url,
      VIDBATCH_BASE_URL: simulator.url,
      VIDBATCH_API_KEY: 'sk-e2e',
      ...env,
    });
    try {
      await work(cli);
    } finally {
      await cli.close();
      await database.drop();
    }
  }

  async function sentOnce(cli: Cli, batch: string, rows: number): Promise<void> {
    const accepted = simulator.accepted().filter(({ body }) => body.prompt.includes(` ${batch}-`));
    assert.equal(accepted.length, rows);
    assert.deepEqual(paidTwice(accepted), []);
    assert.equal(countsOf(exits(await cli.run(['status', batch, '--json']), 0))['submitted'], rows);
  }

  /** Whatever is neither a log line nor the next step was printed past the log, by a library. */
  function saidNothingElse({ stderr }: Ended): void {
    const other = stderr.split('\n').filter((line) => line !== '' && !/^(?:\{|next: )/.test(line));
    assert.deepEqual(other, []);
  }

  it('behind TLS and passwords, with certificates of a private authority', async () => {
    const password = 'p@ss:w/o#r%d';
    const [redis, postgres] = await Promise.all([
      startServer('redis', { tls: true, password }),
      startServer('postgres', { tls: true, password }),
    ]);
    const env = { REDIS_URL: `${redis.url}/3`, NODE_EXTRA_CA_CERTS: redis.certificate ?? '' };
    await within(
      env,
      async (cli) => {
        // The authority is known to Node: then it need not be named in the URL.
        const url = new URL(cli.env['DATABASE_URL'] ?? '');
        url.search = '?sslmode=require';
        const file = await cli.write('tls.csv', csvOf(20, 'tls'));
        const more = { env: { DATABASE_URL: url.href } };
        const ended = exits(await cli.run(['run', file, '--log-level', 'debug'], more), 0);
        saidNothingElse(ended);
        assert.doesNotMatch(`${ended.stdout}${ended.stderr}`, /p@ss|p%40ss/);
        await sentOnce(cli, 'tls', 20);
        const untrusting = await cli.run(['work', '--drain'], { env: { NODE_EXTRA_CA_CERTS: '' } });
        assert.match(exits(untrusting, 1).stderr, /^vidbatch: Redis at localhost:\d+\/3 .*\[QUEUE_TLS\]$/m);
      },
      postgres.url,
    );
    await Promise.all([redis.stop(), postgres.stop()]);
  });

  it('on a cluster that is configured by one address, like a plain server', async () => {
    const cluster = await startCluster();
    await within({ REDIS_URL: cluster.oneUrl }, async (cli) => {
      const file = await cli.write('clustered.csv', csvOf(20, 'clustered'));
      saidNothingElse(exits(await cli.run(['run', file, '--log-level', 'info']), 0));
      await sentOnce(cli, 'clustered', 20);
    });
    await cluster.stop();
  });

  it('behind Sentinels, also when the master dies in the middle and its replica takes over', async () => {
    const master = await startServer('redis');
    const port = Number(new URL(master.url).port);
    const replica = await startServer('redis', { replicaOf: port });
    await synchronised(replica.url);
    const sentinel = await startServer('redis', { sentinelOf: port });
    await knowsReplica(sentinel.url);
    await within({ REDIS_URL: sentinel.url }, async (cli) => {
      const file = await cli.write('failover.csv', csvOf(300, 'failover'));
      exits(await cli.run(['submit', file]), 0);
      const worker = cli.start(['work', '--drain']);
      await worker.says(/"event":"accepted"/, 30);
      await master.kill();
      const ended = exits(await worker.ended, 0);
      saidNothingElse(ended);
      assert.equal(ended.stderr.match(/"event":"queue-away"/g)?.length, 1);
      assert.equal(ended.stderr.match(/"event":"queue-back"/g)?.length, 1);
      await sentOnce(cli, 'failover', 300);
      const jobs = new Redis(replica.url);
      assert.ok((await jobs.dbsize()) > 0, 'the queue went on there');
      jobs.disconnect();
    });
    await Promise.all([master.stop(), replica.stop(), sentinel.stop()]);
  });

  it('on Redis, with the ledger behind a pooler that gives sessions for transactions; not so the queue', async () => {
    const [redis, pooler] = await Promise.all([
      startServer('redis'),
      startServer('pgbouncer', { pool: { url: databaseUrl, mode: 'transaction' } }),
    ]);
    await within({ REDIS_URL: redis.url }, async (cli) => {
      const url = new URL(cli.env['DATABASE_URL'] ?? '');
      url.port = new URL(pooler.url).port;
      const pooled = { DATABASE_URL: url.href };
      const file = await cli.write('pooled.csv', csvOf(20, 'pooled'));
      saidNothingElse(exits(await cli.run(['run', file, '--log-level', 'info'], { env: pooled }), 0));
      await sentOnce(cli, 'pooled', 20);
      const refused = exits(await cli.run(['work', '--drain'], { env: { ...pooled, REDIS_URL: '' } }), 1);
      assert.match(refused.stderr, /\[POOLER_TRANSACTIONS\]/);
      await pooler.stop();
    });
    await redis.stop();
  });
});

/** Until then a failover has nobody to go to. */
async function synchronised(url: string): Promise<void> {
  const redis = new Redis(url);
  await until(async () => /master_link_status:up/.test(await redis.info('replication')));
  redis.disconnect();
}

async function knowsReplica(sentinelUrl: string): Promise<void> {
  const sentinel = new Redis(Number(new URL(sentinelUrl.replace(/^redis\+sentinel/, 'redis')).port));
  await until(
    async () => ((await sentinel.call('sentinel', 'replicas', 'mymaster')) as unknown[]).length > 0,
  );
  sentinel.disconnect();
}
