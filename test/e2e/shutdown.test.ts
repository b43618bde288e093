import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Client } from 'pg';
import { countsOf, exits, jsonLines, openCli, type Ended, type Cli, type Running } from '../cli.ts';
import { createDatabase, servers, startServer } from '../servers.ts';
import { startHolding, type HoldingProvider } from './holding.ts';
import { csvOf } from './manifest.ts';

interface Line {
  event?: string;
  rows?: number;
  exitCode?: number;
  taskId?: string;
  by?: string;
}

function eventsOf({ stderr }: Ended, event: string): Line[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  return jsonLines<Line>(lines.join('\n')).filter((line) => line.event === event);
}

const ROWS = 20;
const CONCURRENCY = 4;

/** Rows in a ledger of their own, and a worker that has `CONCURRENCY` of them in flight. */
interface Scene {
  cli: Cli;
  work: Running;
  provider: HoldingProvider;
}

describe('a worker that gets a stop signal', async () => {
  const shared = await servers();
  const [redis, postgres] = await Promise.all([startServer('redis'), startServer('postgres')]);
  const closers: (() => Promise<unknown>)[] = [redis.stop, postgres.stop];
  after(async () => {
    for (const close of closers.toReversed()) await close();
  });

  async function open(servers: { databaseUrl: string; redisUrl?: string }): Promise<Omit<Scene, 'work'>> {
    const [provider, database] = await Promise.all([startHolding(), createDatabase(servers)]);
    const cli = await openCli({
      DATABASE_URL: database.url,
      ...(servers.redisUrl === undefined ? {} : { REDIS_URL: servers.redisUrl }),
      VIDBATCH_BASE_URL: provider.url,
      VIDBATCH_API_KEY: 'sk-e2e',
      VIDBATCH_CONCURRENCY: String(CONCURRENCY),
    });
    closers.push(database.drop, provider.close, cli.close);
    return { cli, provider };
  }

  async function inFlight(
    servers: { databaseUrl: string; redisUrl?: string },
    ...command: string[]
  ): Promise<Scene> {
    const { cli, provider } = await open(servers);
    const file = await cli.write('stop.csv', csvOf(ROWS, 'stop'));
    if (command[0] !== 'run') exits(await cli.run(['submit', file]), 0);
    const work = cli.start(command[0] === 'run' ? ['run', file, ...command.slice(1)] : command);
    await provider.waiting(CONCURRENCY);
    return { cli, provider, work };
  }

  const counted = async ({ cli }: Pick<Scene, 'cli'>): Promise<Record<string, number>> =>
    countsOf(exits(await cli.run(['status', 'stop', '--json']), 0));

  it('takes no more rows, records those in flight, and ends with 0; meanwhile it is alive, and not ready', async () => {
    const scene = await inFlight(shared, 'work', '--http', '127.0.0.1:0');
    const { work, provider } = scene;
    const { url } = JSON.parse(await work.says(/"event":"listening"/)) as { url: string };
    const status = async (path: string): Promise<number> => (await fetch(url + path)).status;
    assert.deepEqual([await status('/healthz'), await status('/readyz')], [200, 200]);
    work.kill('SIGTERM');
    await work.says(/"event":"stopping"/);
    assert.deepEqual([await status('/healthz'), await status('/readyz')], [200, 503]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    for (const line of [
      'vidbatch_draining 1',
      `vidbatch_in_flight_rows ${CONCURRENCY}`,
      'vidbatch_attempts_total{outcome="accepted"} 1',
      'vidbatch_provider_request_duration_seconds_count{outcome="accepted"} 1',
    ]) {
      assert.ok(metrics.includes(`${line}\n`), `${line} is not in\n${metrics}`);
    }
    provider.release();
    const ended = exits(await work.ended, 0);
    assert.equal(eventsOf(ended, 'accepted').length, 1 + CONCURRENCY);
    assert.equal(provider.prompts.length, 1 + CONCURRENCY);
    const counts = await counted(scene);
    assert.deepEqual(
      [counts['submitted'], counts['submitting'], counts['pending']],
      [1 + CONCURRENCY, 0, ROWS - 1 - CONCURRENCY],
    );
  });

  it('finds its address taken: one line, and exit code 1', async () => {
    const { cli, provider } = await open(shared);
    const { host } = new URL(provider.url);
    const { stderr } = exits(await cli.run(['work', '--http', host]), 1);
    assert.match(
      stderr,
      /^vidbatch: --http 127\.0\.0\.1:\d+: cannot listen there: another process listens there \[CANNOT_LISTEN\]$/m,
    );
  });

  it('ends at once at the second SIGTERM, with 143', async () => {
    const { work } = await inFlight(shared, 'work');
    work.kill('SIGTERM');
    await work.says(/"event":"stopping"/);
    work.kill('SIGTERM');
    exits(await work.ended, 143);
  });

  for (const command of ['work', 'run']) {
    it(`leaves what is not over in time, says how many rows, and ends with 5: ${command}`, async () => {
      const scene = await inFlight(shared, command, '--shutdown-timeout', '300ms');
      scene.work.kill('SIGTERM');
      const ended = exits(await scene.work.ended, 5);
      const [left] = eventsOf(ended, 'left');
      assert.deepEqual([left?.rows, left?.exitCode], [CONCURRENCY, 5], ended.stderr);
      const counts = await counted(scene);
      assert.deepEqual([counts['submitted'], counts['submitting']], [1, CONCURRENCY], 'nothing is guessed');
    });
  }

  it('has nothing to wait for when it is idle', async () => {
    for (const servers of [shared, { databaseUrl: shared.databaseUrl }]) {
      const { cli } = await open(servers);
      const work = cli.start(['work', '--shutdown-timeout', '60s']);
      await work.says(/"event":"started"/);
      work.kill('SIGTERM');
      const ended = exits(await work.ended, 0);
      assert.equal(eventsOf(ended, 'closing-late').length, 0);
    }
  });

  it('before it has begun, because the ledger keeps it waiting: ends with 0, and has sent nothing', async () => {
    const { cli, provider } = await open(shared);
    exits(await cli.run(['submit', await cli.write('stop.csv', csvOf(ROWS, 'stop'))]), 0);
    const holder = new Client({ connectionString: cli.env['DATABASE_URL'] });
    await holder.connect();
    try {
      await holder.query('begin; lock table vidbatch.provider in access exclusive mode');
      const work = cli.start(['work', '--http', '127.0.0.1:0']);
      await work.says(/"event":"listening"/);
      work.kill('SIGTERM');
      exits(await work.ended, 0);
    } finally {
      await holder.end();
    }
    assert.equal(provider.prompts.length, 0);
  });

  it('while Redis is away: records what is in flight, and ends with 0', async () => {
    const scene = await inFlight({ ...shared, redisUrl: redis.url }, 'work');
    await redis.kill();
    try {
      scene.work.kill('SIGTERM');
      scene.provider.release();
      const ended = exits(await scene.work.ended, 0);
      assert.equal(eventsOf(ended, 'accepted').length, 1 + CONCURRENCY);
    } finally {
      await redis.restart();
    }
    assert.equal((await counted(scene))['submitted'], 1 + CONCURRENCY);
  });

  it('while the ledger is away: leaves its answers in the journal, where the next start finds them', async () => {
    const scene = await inFlight(
      { databaseUrl: postgres.url },
      'work',
      '--shutdown-timeout',
      '2s',
      '--log-level',
      'debug',
    );
    await postgres.kill();
    try {
      scene.provider.release();
      await scene.work.says(/"event":"ledger-failed","what":"record"/);
      scene.work.kill('SIGTERM');
      const ended = exits(await scene.work.ended, 5);
      assert.equal(eventsOf(ended, 'left')[0]?.rows, CONCURRENCY);
      assert.equal(eventsOf(ended, 'accepted').length, 1, 'what is not stored is not told');
    } finally {
      await postgres.restart();
    }
    scene.provider.release();
    const next = scene.cli.start(['work', '--drain']);
    await next.says(/"by":"journal"/, CONCURRENCY);
    await scene.provider.waiting(CONCURRENCY);
    scene.provider.release();
    next.kill('SIGTERM');
    const told = eventsOf(exits(await next.ended, 0), 'accepted').filter(({ by }) => by === 'journal');
    assert.equal(new Set(told.map(({ taskId }) => taskId)).size, CONCURRENCY);
    assert.equal(new Set(scene.provider.prompts).size, scene.provider.prompts.length, 'none was sent twice');
  });
});
