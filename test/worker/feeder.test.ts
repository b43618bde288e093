import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Queue } from 'bullmq';
import { fill, startFeeder } from '../../src/worker/feeder.ts';
import type { Feeder } from '../../src/worker/feeder.ts';
import { pause } from '../../src/ledger/batch.ts';
import { unqueue } from '../../src/ledger/send/feed.ts';
import type { Fed, FeedScope } from '../../src/ledger/send/feed.ts';
import { rankRows } from '../../src/ledger/import/priority.ts';
import { countLive, jobId, liveJobIds, openQueue, openWorker } from '../../src/worker/queue/queue.ts';
import type { JobData, JobResult } from '../../src/worker/queue/queue.ts';
import { hear } from '../contract/log.ts';
import { until } from '../until.ts';
import type { Heard } from '../contract/log.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window.ts';
import { claimAll, letTimePass, makeBatch, recordOne, stored, windowAt } from '../contract/rows.ts';
import type { Made } from '../contract/rows.ts';
import { onEvery, openStorage } from '../contract/storages.ts';
import type { Storage } from '../contract/storages.ts';
import { startServer } from '../servers.ts';
import type { OwnServer } from '../servers.ts';

const LOST_AFTER_MS = 3_001;

interface Feeding {
  made: Made;
  queue: Queue<JobData, JobResult>;
  scope: FeedScope;
  heard: Heard;
  start: (depth?: number) => Feeder;
  close: () => Promise<void>;
}

async function feeding(
  storage: Storage,
  { rows = 12, origin = undefined as string | undefined } = {},
): Promise<Feeding> {
  const made = await makeBatch(storage.db, { rows, ...(origin === undefined ? {} : { origin }) });
  const lane = `vidbatch-${storage.ledgerId}-${made.id}`;
  const queue = openQueue(storage.store, lane);
  const scope = { lane, origin: made.origin, batches: [made.id] };
  const heard = hear();
  const feeders: Feeder[] = [];
  return {
    made,
    queue,
    scope,
    heard,
    start: (depth = 100) => {
      const feeder = startFeeder({ db: storage.db, queue, scope, depth, inHand: 8, log: heard.log });
      feeders.push(feeder);
      return feeder;
    },
    close: async () => {
      for (const feeder of feeders) await feeder.stop();
      await queue.close();
    },
  };
}

function idsAt(made: Made, generation: number): Set<string> {
  return new Set(made.rows.map((id) => jobId(id, generation)));
}

/** Every row of the batch is in the queue. */
function full({ queue, made }: Feeding): Promise<void> {
  return until(async () => (await countLive(queue)) === made.rows.length);
}

onEvery(['postgres', 'redis+embedded'], (storage) => {
  test('a queue is filled to its depth, and topped up as rows are settled', async () => {
    const one = await feeding(storage());
    const { queue, made } = one;
    const feeder = one.start(8);
    await until(async () => (await countLive(queue)) === 8);
    assert.deepEqual(await liveJobIds(queue), new Set(made.rows.slice(0, 8).map((id) => jobId(id, 1))));
    for (const id of made.rows.slice(0, 4)) await (await queue.getJob(jobId(id, 1)))?.remove();
    const claims = await claimAll(storage().db, made, made.rows.slice(0, 4));
    for (const claimed of claims) await recordOne(storage().db, claimed, 'accepted');
    feeder.poke();
    await until(async () => (await liveJobIds(queue)).has(jobId(made.rows[11] ?? 0, 1)));
    assert.equal(await countLive(queue), 8);
    await one.close();
  });

  test('filling once does the same for a producer without a worker', async () => {
    const one = await feeding(storage());
    const options = { db: storage().db, queue: one.queue, scope: one.scope, depth: 5 };
    assert.equal(await fill(options), 5);
    assert.equal(await fill(options), 0, 'it is full');
    assert.equal(await countLive(one.queue), 5);
    await one.close();
  });

  test('rows that could not be queued are not taken for queued', async () => {
    const one = await feeding(storage());
    const broken = Object.create(one.queue, {
      addBulk: { value: () => Promise.reject(new Error('queue away')) },
    }) as Queue<JobData, JobResult>;
    await assert.rejects(fill({ db: storage().db, queue: broken, scope: one.scope, depth: 5 }), /queue away/);
    assert.ok((await stored(storage().db, one.made.rows)).every(({ lane }) => lane === null));
    one.start();
    await full(one);
    await one.close();
  });

  test('a lost queue is filled again from the ledger, without any worker', async () => {
    const one = await feeding(storage());
    const feeder = one.start();
    await full(one);
    await one.queue.obliterate({ force: true });
    await letTimePass(storage().db, one.made, LOST_AFTER_MS);
    feeder.poke();
    assert.equal((await one.heard.event('jobs-lost'))['count'], one.made.rows.length);
    await full(one);
    assert.deepEqual(await liveJobIds(one.queue), idsAt(one.made, 2));
    await one.close();
  });

  test('a job that somebody removed by hand is fed again under a new generation', async () => {
    const one = await feeding(storage());
    one.start();
    await full(one);
    const [first = 0, ...rest] = one.made.rows;
    await (await one.queue.getJob(jobId(first, 1)))?.remove();
    await letTimePass(storage().db, one.made, LOST_AFTER_MS);
    await full(one);
    const expected = new Set([jobId(first, 2), ...rest.map((id) => jobId(id, 1))]);
    assert.deepEqual(await liveJobIds(one.queue), expected);
    assert.equal((await one.heard.event('jobs-lost'))['count'], 1);
    await one.close();
  });

  test('a row that is given back while the feeder looks for its job is not told as lost, and stays free', async () => {
    const one = await feeding(storage());
    const { db } = storage();
    const { made, queue, scope } = one;
    await fill({ db, queue, scope, depth: 100 });
    const [given = 0, lost = 0] = made.rows;
    await letTimePass(db, made, LOST_AFTER_MS);
    await pause(db, made.id);
    let looked = 0;
    const late = Object.create(queue, {
      getRanges: {
        // As a worker that a gate refuses: first the row is free, then its job is gone.
        async value(...args: Parameters<typeof queue.getRanges>) {
          if (args[0].includes('waiting') && ++looked === 1) {
            await unqueue(db, [given]);
            for (const id of [given, lost]) await (await queue.getJob(jobId(id, 1)))?.remove();
          }
          return queue.getRanges(...args);
        },
      },
    }) as Queue<JobData, JobResult>;
    const feeder = startFeeder({ db, queue: late, scope, depth: 100, inHand: 8, log: one.heard.log });
    assert.equal((await one.heard.event('jobs-lost'))['count'], 1, 'the other one is');
    const [first, second] = await stored(db, [given, lost]);
    assert.deepEqual([first?.lane, second?.lane], [null, null]);
    await feeder.stop();
    await one.close();
  });

  test('a row of high priority passes a queue that is full of others', async () => {
    const one = await feeding(storage(), { rows: 40 });
    const { db } = storage();
    const { queue, made } = one;
    const [urgent = 0] = made.rows.slice(-1);
    one.start(8);
    await until(async () => (await countLive(queue)) === 8);
    await db.query('update vidbatch.submission set priority = 7 where id = $1', [urgent]);
    await rankRows(db, made.id);
    const queued = async (): Promise<string[]> => queue.getRanges(['prioritized'], 0, -1, true);
    await until(async () => (await queued())[0]?.startsWith(`s${urgent}-`) === true);
    assert.ok((await countLive(queue)) <= 8, 'and the queue is no longer for it');
    const worker = openWorker(storage().store, one.scope.lane, () => Promise.resolve({ state: 'taken' }), 1);
    const first = new Promise((resolve) => worker.once('active', (job) => resolve(job.data.submission)));
    void worker.run();
    assert.equal(await first, urgent);
    await worker.close();
    await one.close();
    await db.query('update vidbatch.meta set ranked = false');
  });

  test('when a window shuts, its jobs leave the queue; when it opens, its rows come again', async () => {
    const one = await feeding(storage());
    const { db } = storage();
    const { made, queue } = one;
    const offPeak = made.rows.slice(4);
    await db.query(`update vidbatch.submission set model = 'viduq3t-720p-offpeak' where id = any($1)`, [
      offPeak,
    ]);
    one.start();
    await full(one);
    await setOffPeakWindow(db, await windowAt(db, [3_600_000, 7_200_000]));
    await until(async () => (await countLive(queue)) === 4);
    assert.deepEqual(await liveJobIds(queue), new Set(made.rows.slice(0, 4).map((id) => jobId(id, 1))));
    assert.equal((await one.heard.event('window-shut'))['count'], offPeak.length);
    assert.ok((await stored(db, offPeak)).every(({ lane, attempts }) => lane === null && attempts === 0));
    await setOffPeakWindow(db, await windowAt(db, [-1000, 3_600_000]));
    await full(one);
    const again = offPeak.map((id) => jobId(id, 2));
    assert.deepEqual(
      await liveJobIds(queue),
      new Set([...made.rows.slice(0, 4).map((id) => jobId(id, 1)), ...again]),
    );
    await setOffPeakWindow(db, null);
    await one.close();
  });

  test('rows that another feeder queued before it died are taken over', async () => {
    const dead = await feeding(storage());
    await fill({ db: storage().db, queue: dead.queue, scope: dead.scope, depth: 100 });
    const lane = `${dead.scope.lane}-other`;
    const queue = openQueue(storage().store, lane);
    const scope = { ...dead.scope, lane };
    const feeder = startFeeder({ db: storage().db, queue, scope, depth: 100, inHand: 8, log: hear().log });
    await until(async () => (await countLive(queue)) === dead.made.rows.length);
    assert.deepEqual(await liveJobIds(queue), idsAt(dead.made, 2));
    await feeder.stop();
    await queue.close();
    await dead.close();
  });

  test('batches that have no provider yet are bound to this one', async () => {
    const one = await feeding(storage());
    await storage().db.query('update vidbatch.batch set origin = null where id = $1', [one.made.id]);
    one.start();
    await full(one);
    await one.close();
  });

  test('an error of the ledger is said once, and is over when it is over', async () => {
    const one = await feeding(storage());
    const real = storage().db;
    let away = true;
    let tried = 0;
    const query: typeof real.query = (text, params) => {
      if (!away) return real.query(text, params);
      tried += 1;
      return Promise.reject(new Error('ledger away'));
    };
    const db = { query, connect: () => real.connect(), end: () => real.end() };
    const feeder = startFeeder({
      db,
      queue: one.queue,
      scope: one.scope,
      depth: 100,
      inHand: 8,
      log: one.heard.log,
    });
    await until(() => {
      feeder.poke();
      return Promise.resolve(tried >= 3);
    });
    away = false;
    await one.heard.event('feeder-back');
    await full(one);
    await feeder.stop();
    assert.equal(one.heard.lines.filter(({ event }) => event === 'feeder-away').length, 1);
    await one.close();
  });

  test('once stopped, its rows are free for others', async () => {
    const one = await feeding(storage());
    const feeder = one.start();
    await full(one);
    await feeder.stop();
    await feeder.stop();
    const { rows } = await storage().db.query('select from vidbatch.lane where name = $1', [one.scope.lane]);
    assert.equal(rows.length, 0);
    await one.close();
  });
});

describe('a queue whose store is lost', () => {
  let redis: OwnServer;
  let storage: Storage;
  before(async () => {
    redis = await startServer('redis');
    storage = await openStorage('redis+postgres', { redisUrl: redis.url });
  });
  after(async () => {
    await storage.close();
    await redis.stop();
  });

  test('FLUSHALL: all rows come back', async () => {
    const one = await feeding(storage);
    one.start();
    await full(one);
    assert.ok(storage.store.kind === 'redis');
    await storage.store.redis.flushall();
    await letTimePass(storage.db, one.made, LOST_AFTER_MS);
    await full(one);
    assert.deepEqual(await liveJobIds(one.queue), idsAt(one.made, 2));
    await one.close();
  });

  test('jobs that cannot be read are taken away, and their rows are fed again', async () => {
    const one = await feeding(storage);
    const feeder = one.start();
    await full(one);
    assert.ok(storage.store.kind === 'redis');
    const { redis: client, prefix } = storage.store;
    const [waits = 0, delayed = 0, ...rest] = one.made.rows;
    const key = (name: string): string => `${prefix}:${one.scope.lane}:${name}`;
    for (const id of [waits, delayed]) await client.hset(key(jobId(id, 1)), 'data', 'not JSON');
    await client.lrem(key('wait'), 0, jobId(delayed, 1));
    await client.zadd(key('delayed'), 2 ** 52, jobId(delayed, 1));
    await letTimePass(storage.db, one.made, LOST_AFTER_MS);
    feeder.sift();
    assert.equal((await one.heard.event('jobs-unreadable'))['count'], 2);
    await full(one);
    const again = [waits, delayed].map((id) => jobId(id, 2));
    assert.deepEqual(await liveJobIds(one.queue), new Set([...again, ...rest.map((id) => jobId(id, 1))]));
    await one.close();
  });

  test('a job that waits for its time and cannot be read does not stop the feeder', async () => {
    const one = await feeding(storage);
    one.start(4);
    await until(async () => (await countLive(one.queue)) === 4);
    assert.ok(storage.store.kind === 'redis');
    const { redis: client, prefix } = storage.store;
    const [first = 0] = one.made.rows;
    const key = (name: string): string => `${prefix}:${one.scope.lane}:${name}`;
    await client.hset(key(jobId(first, 1)), 'opts', 'null');
    await client.lrem(key('wait'), 0, jobId(first, 1));
    await client.zadd(key('delayed'), 2 ** 52, jobId(first, 1));
    await letTimePass(storage.db, one.made, LOST_AFTER_MS);
    await until(async () => (await liveJobIds(one.queue)).has(jobId(first, 2)));
    assert.deepEqual(
      one.heard.lines.filter(({ event }) => event === 'feeder-away'),
      [],
    );
    await one.close();
  });

  test('a Redis that is killed and comes back empty: all rows come back', async () => {
    const one = await feeding(storage);
    one.start();
    await full(one);
    await redis.kill();
    await redis.restart();
    await letTimePass(storage.db, one.made, LOST_AFTER_MS);
    await full(one);
    assert.deepEqual(await liveJobIds(one.queue), idsAt(one.made, 2));
    await one.close();
  });

  test('jobs that vanish from the database: all rows come back', async () => {
    const other = await openStorage('postgres');
    const one = await feeding(other);
    one.start();
    await full(one);
    await other.db.query('delete from bullmq.job where queue = $1', [one.scope.lane]);
    await letTimePass(other.db, one.made, LOST_AFTER_MS);
    await full(one);
    assert.deepEqual(await liveJobIds(one.queue), idsAt(one.made, 2));
    await one.close();
    await other.close();
  });
});

/** The shape of what is fed stays small: at most a kilobyte, whatever a row says. */
test('a job is at most a kilobyte', async () => {
  const storage = await openStorage('postgres');
  const made = await makeBatch(storage.db);
  await storage.db.query('update vidbatch.submission set request = $2, row_key = $3 where batch_id = $1', [
    made.id,
    JSON.stringify({ prompt: '长'.repeat(5000) }),
    'k'.repeat(200),
  ]);
  const queue = openQueue(storage.store, `vidbatch-${storage.ledgerId}`);
  const scope = { lane: 'x', origin: made.origin, batches: null };
  await fill({ db: storage.db, queue, scope, depth: 10 });
  const [job] = await queue.getJobs();
  const row: Partial<Fed> | undefined = job?.data;
  assert.ok(row?.preview?.startsWith('长'));
  assert.ok(Buffer.byteLength(JSON.stringify(job?.data)) <= 1024, JSON.stringify(job?.data));
  await queue.close();
  await storage.close();
});
