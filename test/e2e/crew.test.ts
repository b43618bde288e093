import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Pool } from 'pg';
import { createDatabase, servers } from '../servers.ts';
import { exits, jsonLines, openCli, type Ended, type Cli } from '../cli.ts';
import { until } from '../until.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

/** `CREW_ROWS=5000` is what was asked of four workers; fewer show the same, and sooner. */
const ROWS = Number(process.env['CREW_ROWS'] ?? 1200);
const CONCURRENCY = 8;
/** With answers that take this long, the rows last until the slowest of the four has started, however busy the machine. */
const SLOW = { minMs: 1_000, maxMs: 1_000 };
const QUICK = { minMs: 1, maxMs: 5 };

interface Line {
  event?: string;
  taskId?: string;
}

function eventsOf({ stderr }: Ended, event: string): Line[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
  return jsonLines<Line>(lines.join('\n')).filter((line) => line.event === event);
}

interface Exported {
  state: string;
  task_id: string | null;
  request: { prompt: string };
}

describe('four workers on Redis and Postgres', async () => {
  const shared = await servers();
  const [simulator, database] = await Promise.all([startSimulatorProcess(), createDatabase(shared)]);
  const env = {
    REDIS_URL: shared.redisUrl,
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-e2e',
    VIDBATCH_CONCURRENCY: String(CONCURRENCY),
  };
  /** Each is a machine of its own: its journals are its own. */
  const machines = await Promise.all(Array.from({ length: 4 }, () => openCli(env)));
  const [killed, stopped, ...others] = machines as [Cli, Cli, Cli, Cli];
  const db = new Pool({ connectionString: database.url, max: 1 });
  after(async () => {
    await db.end();
    await Promise.all(machines.map(({ close }) => close()));
    await simulator.close();
    await database.drop();
  });

  /** How many rows are in each state, and in the states together. */
  async function count(...states: string[]): Promise<number> {
    const { rows } = await db.query<{ n: number }>(
      'select count(*)::int as n from vidbatch.submission where state = any($1::text[])',
      [states],
    );
    return rows[0]?.n ?? 0;
  }

  it('lose one to `kill -9` and one to SIGTERM: no row is paid twice, and every row is there', async (t) => {
    await simulator.configure({ latency: SLOW });
    exits(await stopped.run(['submit', await stopped.write('crew.csv', csvOf(ROWS, 'crew'))]), 0);
    const victim = killed.start(['work']);
    const leaver = stopped.start(['work']);
    const stayers = others.map((machine) => machine.start(['work']));
    await Promise.all([
      victim.says(/"event":"accepted"/, CONCURRENCY).then(() => victim.kill('SIGKILL')),
      leaver.says(/"event":"accepted"/, CONCURRENCY).then(() => leaver.kill('SIGTERM')),
    ]);
    await simulator.configure({ latency: QUICK });
    const left = exits(await leaver.ended, 0);
    const dead = await victim.ended;
    assert.equal(dead.signal, 'SIGKILL');
    assert.ok((await count('pending')) > ROWS / 4, 'both went in the middle');

    // What was in flight in the one that was told to stop is recorded, and told.
    assert.equal(eventsOf(left, 'left').length, 0);
    const ids = new Set(simulator.accepted().map(({ taskId }) => taskId));
    for (const { taskId } of eventsOf(left, 'accepted')) assert.ok(ids.has(taskId ?? ''), taskId);

    // The dead one's machine comes back, reads its journal, and works on with the others until nothing is left but rows
    // in flight of which nobody heard: these have a deadline.
    const again = killed.start(['work']);
    // What its journal shows as never sent is pending again, and it listens to signals.
    await again.says(/"event":"started"/);
    await until(
      async () =>
        (await count('pending')) === 0 &&
        (await count('submitting')) <= CONCURRENCY &&
        (await count('submitted')) >= ROWS - CONCURRENCY,
    );
    for (const worker of [again, ...stayers]) worker.kill('SIGTERM');
    const ends = await Promise.all([again, ...stayers].map((worker) => worker.ended));
    for (const ended of ends) exits(ended, 0);

    const accepted = simulator.accepted();
    assert.deepEqual(paidTwice(accepted), []);
    const [submitted, submitting] = [await count('submitted'), await count('submitting')];
    assert.equal(submitted + submitting, ROWS);
    assert.ok(submitting <= CONCURRENCY, `${submitting} rows of one worker's ${CONCURRENCY}`);
    const rows = jsonLines<Exported>(
      exits(await stopped.run(['export', 'crew', '--format', 'jsonl']), 0).stdout,
    );
    assert.equal(rows.length, ROWS);
    const paid = new Map(accepted.map(({ body, taskId }) => [body.prompt, taskId]));
    for (const { state, task_id, request } of rows) {
      if (state === 'submitted') assert.equal(task_id, paid.get(request.prompt), request.prompt);
      else assert.equal(state, 'submitting', request.prompt);
    }
    // Each task id was told once; the dead one may have died between its record and the line.
    const told = [left, dead, ...ends].flatMap((ended) =>
      eventsOf(ended, 'accepted').map(({ taskId }) => taskId),
    );
    assert.equal(new Set(told).size, told.length, 'none was told twice');
    assert.ok(told.length >= submitted - CONCURRENCY && told.length <= submitted);

    // Of these, nobody knows: when their deadline has passed, the next worker says so, and sends none of them.
    await db.query(`update vidbatch.row_state set deadline = now() where state = 'submitting'`);
    exits(await stopped.run(['work', '--drain']), 0);
    assert.equal(await count('uncertain'), submitting);
    assert.equal(simulator.accepted().length, accepted.length);
    t.diagnostic(
      `${ROWS} rows: ${accepted.length} accepted by the simulator, none twice; ${submitted} submitted, ${submitting} uncertain (in flight of the killed one)`,
    );
  });
});
