import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fill, startFeeder, type Feeder } from '../../src/worker/feeder.ts';
import { pause, resume } from '../../src/ledger/operator/pause.ts';
import { setPriority } from '../../src/ledger/batches.ts';
import type { FeedScope } from '../../src/ledger/send/ready.ts';
import { addChunks, openQueue, openWorker, readLive, type ChunkQueue } from '../../src/worker/queue/queue.ts';
import { hear, type Heard } from '../contract/log.ts';
import { until } from '../until.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window-change.ts';
import { makeBatch, statesOf, stored, windowAt, type Made } from '../contract/rows.ts';
import { onEvery, openStorage, type Storage } from '../contract/storages.ts';
import { startServer, type OwnServer } from '../servers.ts';

interface Feeding {
  made: Made;
  name: string;
  queue: ChunkQueue;
  scope: FeedScope;
  heard: Heard;
  start: () => Feeder;
  fill: () => Promise<number>;
  close: () => Promise<void>;
}

/** Jobs of four rows, for twelve rows in all. */
const PACE = { size: () => 4, ahead: () => 12 };
const FULL = ['4', '4', '4'];

async function feeding(storage: Storage, { rows = 40 } = {}): Promise<Feeding> {
  const made = await makeBatch(storage.db, { rows });
  const name = `vidbatch-${storage.ledgerId}-${made.id}`;
  const queue = openQueue(storage.store, name);
  const scope = { origin: made.origin, batches: [made.id] };
  const heard = hear();
  const feeders: Feeder[] = [];
  return {
    made,
    name,
    queue,
    scope,
    heard,
    start: () => {
      const feeder = startFeeder(name, { db: storage.db, queue, scope, pace: PACE, log: heard.log });
      feeders.push(feeder);
      return feeder;
    },
    fill: () => fill({ db: storage.db, queue, scope, pace: PACE }),
    close: async () => {
      for (const feeder of feeders) await feeder.stop();
      await queue.close();
    },
  };
}

/** Of the jobs in a queue, how many rows each may claim. */
async function sizes(queue: ChunkQueue): Promise<string[]> {
  return (await readLive(queue)).jobs.map(({ id }) => id.split('-')[1] ?? '?').sort();
}

async function idsOf(queue: ChunkQueue): Promise<string[]> {
  return (await readLive(queue)).jobs.map(({ id }) => id);
}

function full({ queue }: Feeding): Promise<void> {
  return until(async () => (await sizes(queue)).join() === FULL.join());
}

onEvery(['postgres', 'redis+embedded'], (storage) => {
  test('a queue is filled, and topped up as its jobs are done', async () => {
    const one = await feeding(storage());
    const { queue } = one;
    const feeder = one.start();
    await full(one);
    const [first = '', ...rest] = await idsOf(queue);
    await queue.remove(first);
    feeder.poke();
    await full(one);
    const now = await idsOf(queue);
    assert.ok(!now.includes(first) && rest.every((id) => now.includes(id)), 'the others stay');
    await one.close();
  });

  test('filling once does the same for a producer without a worker, and changes nothing in the ledger', async () => {
    const one = await feeding(storage());
    const before = await stored(storage().db, one.made.rows);
    assert.equal(await one.fill(), 3);
    assert.equal(await one.fill(), 0, 'it is full');
    assert.deepEqual(await sizes(one.queue), FULL);
    assert.deepEqual(await stored(storage().db, one.made.rows), before);
    await one.close();
  });

  test('a job names its batch, and says no more than which rows may be claimed', async () => {
    const one = await feeding(storage());
    await storage().db.query('update vidbatch.row set request = $2 where batch_id = $1', [
      one.made.id,
      JSON.stringify({ prompt: '长'.repeat(5000) }),
    ]);
    await one.fill();
    for (const job of await one.queue.getJobs()) {
      assert.equal(job.name, one.made.name);
      assert.deepEqual(job.data, { batch: one.made.id, rows: 4 });
      assert.ok(Buffer.byteLength(JSON.stringify([job.data, job.opts])) < 1024);
    }
    await one.close();
  });

  test('a queue that was away is filled when it is there again', async () => {
    const one = await feeding(storage());
    const broken = Object.create(one.queue, {
      addBulk: { value: () => Promise.reject(new Error('queue away')) },
    }) as ChunkQueue;
    const { db } = storage();
    await assert.rejects(fill({ db, queue: broken, scope: one.scope, pace: PACE }), /queue away/);
    assert.deepEqual(await sizes(one.queue), []);
    one.start();
    await full(one);
    await one.close();
  });

  test('a lost queue is filled again from the ledger, without any worker', async () => {
    const one = await feeding(storage());
    const feeder = one.start();
    await full(one);
    const before = await idsOf(one.queue);
    await one.queue.obliterate({ force: true });
    feeder.poke();
    await full(one);
    assert.ok((await idsOf(one.queue)).every((id) => !before.includes(id)));
    await one.close();
  });

  test('after a look that took long, the queue is filled as soon as no job waits any more', async () => {
    const one = await feeding(storage());
    const { db } = storage();
    /** Each look that adds jobs takes an hour by the feeder's clock. */
    let looks = 0;
    const slow = Object.create(one.queue, {
      addBulk: {
        value: async (jobs: Parameters<ChunkQueue['addBulk']>[0]) => {
          const added = await one.queue.addBulk(jobs);
          looks += 1;
          return added;
        },
      },
    }) as ChunkQueue;
    const options = { db, queue: slow, scope: one.scope, pace: PACE, log: one.heard.log };
    const feeder = startFeeder(one.name, options, () => looks * 3_600_000);
    await full(one);
    const before = await idsOf(one.queue);
    for (const id of before) {
      await one.queue.remove(id);
      feeder.poke();
    }
    await full(one);
    assert.ok((await idsOf(one.queue)).every((id) => !before.includes(id)));
    await feeder.stop();
    await one.close();
  });

  test('a job that a person removed is replaced', async () => {
    const one = await feeding(storage());
    one.start();
    await full(one);
    await (await one.queue.getJob((await idsOf(one.queue))[1] ?? ''))?.remove();
    await full(one);
    await one.close();
  });

  test('a batch of higher rank is sent before the others', async () => {
    const one = await feeding(storage());
    const { db } = storage();
    const urgent = await makeBatch(db, { rows: 6, origin: one.made.origin });
    await setPriority(db, urgent.id, 7);
    const scope = { ...one.scope, batches: null };
    assert.equal(await fill({ db, queue: one.queue, scope, pace: PACE }), 4);
    const order: string[] = [];
    const done = Promise.withResolvers<void>();
    const worker = openWorker(
      storage().store,
      one.name,
      (job) => {
        order.push(`${job.data.batch === urgent.id ? 'urgent' : 'other'} ${job.data.rows}`);
        if (order.length === 4) done.resolve();
        return Promise.resolve({ rows: 0 });
      },
      1,
    );
    void worker.run();
    await done.promise;
    assert.deepEqual(order, ['urgent 4', 'urgent 2', 'other 4', 'other 4']);
    await worker.close();
    await one.close();
  });

  test('rows that may not be sent have no jobs: behind a pause, or outside their window', async () => {
    const one = await feeding(storage(), { rows: 6 });
    const { db } = storage();
    const offPeak = one.made.rows.slice(1);
    await db.query(`update vidbatch.row_state set model = 'viduq3t-720p-offpeak' where id = any($1)`, [
      offPeak,
    ]);
    await setOffPeakWindow(db, await windowAt(db, [3_600_000, 7_200_000]));
    assert.equal(await one.fill(), 1);
    assert.deepEqual(await sizes(one.queue), ['1'], 'for the one row that has no window');
    await one.queue.obliterate({ force: true });
    await pause(db, one.made.id);
    assert.equal(await one.fill(), 0);
    await resume(db, one.made.id);
    await setOffPeakWindow(db, await windowAt(db, [-1000, 3_600_000]));
    await one.fill();
    assert.deepEqual(await sizes(one.queue), ['2', '4']);
    await setOffPeakWindow(db, null);
    assert.ok((await statesOf(db, one.made)).every((state) => state === 'pending'));
    await one.close();
  });

  test('rows for which a dead feeder left jobs are also queued by another feeder', async () => {
    const dead = await feeding(storage());
    await dead.fill();
    const name = `${dead.name}-other`;
    const queue = openQueue(storage().store, name);
    const { db } = storage();
    const feeder = startFeeder(name, { db, queue, scope: dead.scope, pace: PACE, log: hear().log });
    await until(async () => (await sizes(queue)).length === 3);
    await feeder.stop();
    await queue.close();
    await dead.close();
  });

  test('a job of another program blocks no other job', async () => {
    const one = await feeding(storage());
    await one.queue.add('foreign', { hello: 1 } as never, { jobId: 'foreign' });
    await addChunks(one.queue, [{ batch: 987_654_321, name: 'gone', rows: 100 }]);
    assert.equal(await one.fill(), 0, 'a hundred rows have their jobs');
    await one.queue.remove((await idsOf(one.queue)).find((id) => id.startsWith('b987')) ?? '');
    assert.equal(await one.fill(), 3);
    await one.close();
  });

  test('batches that have no provider yet are bound to this one', async () => {
    const one = await feeding(storage());
    await storage().db.query('update vidbatch.batch set origin = null where id = $1', [one.made.id]);
    one.start();
    await full(one);
    await one.close();
  });

  test('an error of the ledger is logged once, and its end once', async () => {
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
    const feeder = startFeeder(one.name, {
      db,
      queue: one.queue,
      scope: one.scope,
      pace: PACE,
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

  test('its queue counts as fed only while the feeder runs', async () => {
    const one = await feeding(storage());
    const known = async (): Promise<number> => {
      const { rows } = await storage().db.query('select from vidbatch.feeder where queue = $1', [one.name]);
      return rows.length;
    };
    const feeder = one.start();
    await full(one);
    assert.equal(await known(), 1);
    await feeder.stop();
    await feeder.stop();
    assert.equal(await known(), 0);
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

  test('FLUSHALL: the queue is filled again', async () => {
    const one = await feeding(storage);
    one.start();
    await full(one);
    const before = await idsOf(one.queue);
    assert.ok(storage.store.kind === 'redis');
    await storage.store.redis.flushall();
    await full(one);
    assert.ok((await idsOf(one.queue)).every((id) => !before.includes(id)));
    await one.close();
  });

  test('jobs that cannot be read are removed and replaced', async () => {
    const one = await feeding(storage);
    const feeder = one.start();
    await full(one);
    assert.ok(storage.store.kind === 'redis');
    const { redis: client, prefix } = storage.store;
    const [waits = '', delayed = ''] = await idsOf(one.queue);
    const key = (name: string): string => `${prefix}:${one.name}:${name}`;
    for (const id of [waits, delayed]) await client.hset(key(id), 'data', 'not JSON');
    await client.lrem(key('wait'), 0, delayed);
    await client.zadd(key('delayed'), 2 ** 52, delayed);
    feeder.sift();
    assert.equal((await one.heard.event('jobs-unreadable'))['count'], 2);
    await full(one);
    const now = await idsOf(one.queue);
    assert.ok(!now.includes(waits) && !now.includes(delayed));
    await one.close();
  });

  test('a job that waits for its time and cannot be read does not stop the feeder', async () => {
    const one = await feeding(storage);
    const feeder = one.start();
    await full(one);
    assert.ok(storage.store.kind === 'redis');
    const { redis: client, prefix } = storage.store;
    const [bad = '', lost = ''] = await idsOf(one.queue);
    const key = (name: string): string => `${prefix}:${one.name}:${name}`;
    await client.hset(key(bad), 'opts', 'null');
    await client.lrem(key('wait'), 0, bad);
    await client.zadd(key('delayed'), 2 ** 52, bad);
    await one.queue.remove(lost);
    feeder.poke();
    await full(one);
    assert.deepEqual(
      one.heard.lines.filter(({ event }) => event === 'feeder-away'),
      [],
    );
    await one.close();
  });

  test('a Redis that is killed and comes back empty: the queue is filled again', async () => {
    const one = await feeding(storage);
    one.start();
    await full(one);
    await redis.kill();
    await redis.restart();
    await full(one);
    await one.close();
  });

  test('jobs that vanish from the database: the queue is filled again', async () => {
    const other = await openStorage('postgres');
    const one = await feeding(other);
    one.start();
    await full(one);
    const before = await idsOf(one.queue);
    await other.db.query('delete from bullmq.job where queue = $1', [one.name]);
    await full(one);
    assert.ok((await idsOf(one.queue)).every((id) => !before.includes(id)));
    await one.close();
    await other.close();
  });
});
