import assert from 'node:assert/strict';
import { rename, rm } from 'node:fs/promises';
import { after, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { nextTicks } from '../../src/core/time/cron.ts';
import { exits, json, jsonLines, type Cli } from '../cli.ts';
import { startServer } from '../servers.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const DAILY = ['--cron', '0 23 * * *', '--tz', 'Asia/Shanghai'];

interface Seen {
  name: string;
  next: string[];
  paused: boolean;
  last: { batch: string; state: string; code: string | null; counts: Record<string, number> | null } | null;
}

describe('a schedule', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);
  const list = async (): Promise<Seen[]> =>
    jsonLines<Seen>(exits(await cli.run(['schedule', 'list', '--json']), 0).stdout);

  it('is added with its next five runs, triggered, paused, resumed and removed', async () => {
    const file = await cli.write('nightly.csv', csvOf(2));
    const added = await cli.run(['schedule', 'add', 'nightly', file, ...DAILY, '--overlap', 'allow']);
    assert.match(
      exits(added, 0).stdout,
      /next {2}\d{4}-\d\d-\d\dT23:00:00\+08:00\n( +\S+T23:00:00\+08:00\n){4}$/,
    );
    const made = exits(await cli.run(['schedule', 'trigger', 'nightly']), 0).stdout;
    assert.match(made, /^nightly@\d{8}T\d{6}(\.\d{3})?\+0800: 2 rows · 2 new\n$/);
    // Content that was sent in one batch is sent again in the next: that is what it is for.
    exits(await cli.run(['schedule', 'trigger', 'nightly']), 0);
    exits(await cli.run(['work', '--drain']), 0);
    assert.equal(cli.simulator.accepted().length, 4);
    exits(await cli.run(['schedule', 'pause', 'nightly']), 0);
    const [paused] = await list();
    assert.deepEqual([paused?.paused, paused?.next], [true, []]);
    assert.deepEqual([paused?.last?.state, paused?.last?.counts?.['submitted']], ['made', 2]);
    exits(await cli.run(['schedule', 'resume', 'nightly']), 0);
    assert.equal((await list())[0]?.next.length, 5);
    assert.match(
      exits(await cli.run(['schedule', 'show', 'nightly']), 0).stdout,
      /( +run +nightly@\S+: 2 submitted\n){2}/,
    );
    exits(await cli.run(['schedule', 'remove', 'nightly']), 0);
    assert.deepEqual(await list(), []);
  });

  it('whose last run failed is reported, with --check also by the exit code', async () => {
    const file = await cli.write('gone.csv', csvOf(2));
    exits(await cli.run(['schedule', 'add', 'gone', file, ...DAILY]), 0);
    await rm(file);
    assert.match(exits(await cli.run(['schedule', 'trigger', 'gone']), 2).stderr, /gone\.csv: no such file/);
    const checked = await cli.run(['schedule', 'list', '--check']);
    assert.match(
      exits(checked, 1).stdout,
      /failed: .*gone\.csv: no such file \(on .+\) \[manifest-not-found\]/,
    );
  });

  it('that makes no sense is refused in one line, with exit code 2', async () => {
    const file = await cli.write('some.csv', csvOf(1));
    exits(await cli.run(['schedule', 'add', 'known', file, ...DAILY]), 0);
    const refusals: [string[], RegExp][] = [
      [['known', file, ...DAILY], /there is a schedule named known already \[SCHEDULE_EXISTS\]/],
      [['a/b', file, ...DAILY], /"a\/b" cannot name a schedule: .* \[schedule-name\]/],
      [['a@b', file, ...DAILY], /"a@b" cannot name a schedule: .* \[schedule-name\]/],
      [['x', 'none.csv', ...DAILY], /none\.csv: no such file \[manifest-not-found\]/],
      [['x', file, '--cron', '0 23 * *', '--tz', 'UTC'], /--cron: "0 23 \* \*" has 4 fields.* \[BAD_CRON\]/],
      [
        ['x', file, '--cron', '0 23 * * *', '--tz', 'Asia/Shangai'],
        /\[BAD_ZONE\]\n {2}Did you mean Asia\/Shanghai\?/,
      ],
    ];
    await Promise.all(
      refusals.map(async ([args, message]) =>
        assert.match(exits(await cli.run(['schedule', 'add', ...args]), 2).stderr, message),
      ),
    );
    const unknown = await cli.run(['schedule', 'show', 'knwon', '--json']);
    const { error } = JSON.parse(exits(unknown, 2).stderr) as { error: Record<string, string> };
    assert.deepEqual([error['code'], error['hint']], ['NO_SUCH_SCHEDULE', 'Did you mean known?']);
  });

  it('gives with --json the same fields as submit', async () => {
    const file = await cli.write('told.csv', csvOf(3));
    exits(await cli.run(['schedule', 'add', 'told', file, ...DAILY, '--json']), 0);
    const told = json(exits(await cli.run(['schedule', 'trigger', 'told', '--json']), 0)) as Record<
      string,
      unknown
    >;
    assert.deepEqual([told['state'], told['rows'], told['added']], ['made', 3, 3]);
    const skipped = await cli.run(['schedule', 'trigger', 'told']);
    assert.match(
      exits(skipped, 3).stderr,
      /skipped: told@\S+ still has 3 rows to send; nothing was sent \[RUN_SKIPPED\]/,
    );
  });
});

describe('three workers', async () => {
  const cli = await openCliOnPostgres();
  const own = await startServer('redis');
  const db = new Client({ connectionString: cli.databaseUrl });
  after(async () => {
    await db.end();
    await cli.close();
    await own.stop();
  });

  it('make one batch of each tick, though one is killed and Redis loses everything; what is edited counts from then on', async () => {
    const file = await cli.write('each.csv', csvOf(3, 'first'));
    const schedule = ['each', file, '--cron', '* * * * * *', '--tz', 'Asia/Shanghai', '--overlap', 'allow'];
    exits(await cli.run(['schedule', 'add', ...schedule]), 0);
    await db.connect();
    const runs = await watchRuns(db);
    const first = await nextOf(db);
    const work = (): ReturnType<Cli['start']> => cli.start(['work'], { env: { REDIS_URL: own.url } });
    const workers = [work(), work(), work()];

    await runs.come(({ state }) => state === 'made');
    const { worker } = await runs.come(({ state }) => state === 'taken');
    const killed = workers.find(({ pid }) => worker.includes(`-${pid}-`));
    killed?.kill('SIGKILL');
    await killed?.ended;
    workers.push(work());
    // What time would do.
    await db.query(`update vidbatch.run set lease_until = now() - interval '1 second' where worker = $1`, [
      worker,
    ]);
    await replace(cli, file, csvOf(4, 'second'));
    const redis = new Redis(own.url);
    await redis.flushall();
    redis.disconnect();
    await runs.come(({ rows }) => rows === 4);
    await rm(file);
    await runs.come(({ state }) => state === 'failed');
    const end = await nextOf(db);
    await runs.come(({ tick, state }) => tick >= end && state === 'failed');
    // Another worker may still have an earlier one in its hands.
    while ((await openBefore(db, end)) > 0) await runs.come(() => true);
    const alive = workers.filter(({ pid }) => pid !== killed?.pid);
    await Promise.all(alive.map((one) => one.says(/"event":"started"/)));
    for (const one of alive) one.kill('SIGTERM');
    for (const one of alive) exits(await one.ended, 0);

    const { rows } = await db.query<{
      tick: Date;
      state: string;
      code: string | null;
      batches: number;
      rows: number;
    }>(
      `select r.tick, r.state, r.code,
              (select count(*)::int from vidbatch.batch b where b.name = r.batch) as batches,
              (select count(*)::int from vidbatch.submission s where s.batch_id = r.batch_id) as rows
         from vidbatch.run r where r.tick < to_timestamp($1 / 1000.0) order by r.tick`,
      [end],
    );
    const rhythm = { cron: '* * * * * *', zone: 'Asia/Shanghai' };
    const wanted = nextTicks(rhythm, first - 1, 1000).filter((tick) => tick < end);
    assert.deepEqual(
      rows.map(({ tick }) => tick.getTime()),
      wanted,
    );
    const told = new Set(rows.map(({ state, code, batches, rows: n }) => `${state} ${code} ${batches} ${n}`));
    // Somebody may have been reading the file when it was taken away.
    told.delete('failed manifest-changed 0 0');
    assert.deepEqual([...told].sort(), ['failed manifest-not-found 0 0', 'made null 1 3', 'made null 1 4']);
    // A row of which nobody knows, since its worker was killed, is none that is sent again.
    const { rows: all } = await db.query<{ n: number }>('select count(*)::int as n from vidbatch.submission');
    assert.ok(cli.simulator.accepted().length <= (all[0]?.n ?? 0));
  });
});

async function nextOf(db: Client): Promise<number> {
  const { rows } = await db.query<{ next_at: Date }>('select next_at from vidbatch.schedule');
  return rows[0]?.next_at.getTime() ?? 0;
}

async function openBefore(db: Client, end: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.run where state in ('due', 'taken') and tick < to_timestamp($1 / 1000.0)`,
    [end],
  );
  return rows[0]?.n ?? 0;
}

/** A reader sees the old file or the new one. */
async function replace(cli: Cli, file: string, text: string): Promise<void> {
  await rename(await cli.write('new.csv', text), file);
}

interface Change {
  tick: number;
  state: string;
  worker: string;
  rows: number;
}

/** Every change of a run, as it is committed. */
async function watchRuns(
  db: Client,
): Promise<{ come: (wanted: (change: Change) => boolean) => Promise<Change> }> {
  await db.query(
    `create function vidbatch.tell_run() returns trigger language plpgsql as $$ begin
       perform pg_notify('run', json_build_object('tick', extract(epoch from new.tick) * 1000, 'state', new.state,
         'worker', coalesce(new.worker, ''),
         'rows', (select count(*) from vidbatch.submission where batch_id = new.batch_id))::text);
       return new;
     end $$;
     create trigger tell_run after update on vidbatch.run for each row execute function vidbatch.tell_run();
     listen run`,
  );
  let heard: (() => void) | undefined;
  const waiting: Change[] = [];
  db.on('notification', ({ payload = '' }) => {
    waiting.push(JSON.parse(payload) as Change);
    heard?.();
  });
  return {
    /** The next one that is wanted; those before it are passed over. */
    async come(wanted) {
      for (;;) {
        const change = waiting.shift();
        if (change === undefined) await new Promise<void>((resolve) => (heard = resolve));
        else if (wanted(change)) return change;
      }
    },
  };
}
