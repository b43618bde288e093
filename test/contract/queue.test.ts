import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { DelayedError, UnrecoverableError, type Job } from 'bullmq';
import {
  chunkOf,
  MOST_ROWS,
  type Chunk,
  type ChunkData,
  type ChunkResult,
} from '../../src/worker/queue/chunk.ts';
import { batchesOfQueue, queueName, scheduleQueue } from '../../src/worker/queue/name.ts';
import {
  addChunks,
  countByState,
  openQueue,
  openWorker,
  readLive,
  type ChunkQueue,
} from '../../src/worker/queue/queue.ts';
import { until } from '../until.ts';
import { onEvery, QUEUES } from './storages.ts';

function chunk(batch: number, more: Partial<Chunk> = {}): Chunk {
  return { batch, name: '提示 "quoted" 😀', rows: 5, ...more };
}

const HOUR_MS = 3_600_000;
const CHUNKS = Array.from({ length: 1203 }, (_, n) => chunk(n + 1));

async function liveBatches(queue: ChunkQueue): Promise<number[]> {
  return (await readLive(queue)).jobs.map(({ batch = NaN }) => batch).sort((a, b) => a - b);
}

test('a queue is named after its ledger, and a run’s also after its batches', () => {
  assert.equal(queueName('abc', null), 'vidbatch-abc');
  assert.equal(queueName('abc', [3, 5]), 'vidbatch-abc-run-3-5');
  assert.deepEqual(batchesOfQueue('vidbatch-abc-run-3-5', 'abc'), [3, 5]);
  for (const name of [queueName('abc', null), scheduleQueue('abc'), queueName('abcd', [3])])
    assert.equal(batchesOfQueue(name, 'abc'), null);
});

describe('what a job names', () => {
  const table: [data: unknown, named: ReturnType<typeof chunkOf>][] = [
    [
      { batch: 7, rows: 12 },
      { batch: 7, rows: 12 },
    ],
    [{ batch: 7 }, { batch: 7, rows: 1 }],
    [
      { batch: 7, rows: 5000 },
      { batch: 7, rows: MOST_ROWS },
    ],
    ...[
      undefined,
      null,
      'text',
      7,
      {},
      { rows: 3 },
      { batch: '7' },
      { batch: 0 },
      { batch: -1 },
      { batch: 1.5 },
    ].map((data): [unknown, undefined] => [data, undefined]),
    ...[0, -3, 2.5, '3', null, Infinity].map((rows): [unknown, undefined] => [{ batch: 7, rows }, undefined]),
  ];
  for (const [data, named] of table) {
    test(`${JSON.stringify(data)}: ${named === undefined ? 'nothing' : JSON.stringify(named)}`, () =>
      assert.deepEqual(chunkOf(data), named));
  }
});

onEvery(QUEUES, (storage) => {
  const newName = (): string => `${queueName(storage().ledgerId, null)}-${randomUUID().slice(0, 8)}`;

  test('takes thousands of jobs, and knows by their ids which live and for how many rows', async () => {
    const queue = openQueue(storage().store, newName());
    assert.deepEqual(await readLive(queue), { jobs: [], waits: 0, waiting: new Map() });
    await addChunks(queue, CHUNKS);
    assert.deepEqual(
      await liveBatches(queue),
      CHUNKS.map(({ batch }) => batch),
    );
    await addChunks(queue, [chunk(5, { rows: 7 })]);
    const { jobs, waiting } = await readLive(queue);
    assert.equal(waiting.get(5), 12);
    assert.equal(waiting.get(6), 5);
    const job = await queue.getJob(jobs.find(({ batch }) => batch === 6)?.id ?? '');
    assert.ok(job);
    assert.deepEqual([job.name, job.data, job.opts.attempts], [CHUNKS[5]?.name, { batch: 6, rows: 5 }, 1]);
    assert.deepEqual(await countByState(queue), {
      waiting: CHUNKS.length + 1,
      active: 0,
      delayed: 0,
      completed: 0,
      failed: 0,
    });
    await addChunks(queue, []);
    await queue.obliterate({ force: true });
    await queue.close();
  });

  test('a worker runs every job once, and finished ones are kept for people', async () => {
    const name = newName();
    const queue = openQueue(storage().store, name);
    await addChunks(queue, CHUNKS.slice(0, 60));
    const runs: number[] = [];
    const done = Promise.withResolvers<void>();
    const worker = openWorker(
      storage().store,
      name,
      (job) => {
        runs.push(job.data.batch);
        return Promise.resolve({ rows: job.data.rows, submitted: job.data.batch });
      },
      4,
    );
    worker.on('completed', () => {
      if (runs.length === 60) done.resolve();
    });
    void worker.run();
    await done.promise;
    await until(async () => (await liveBatches(queue)).length === 0);
    assert.deepEqual(
      runs.toSorted((a, b) => a - b),
      CHUNKS.slice(0, 60).map(({ batch }) => batch),
    );
    const kept = await queue.getJobs(['completed']);
    assert.equal(kept.length, 60);
    assert.deepEqual(kept.find(({ data }) => data.batch === 7)?.returnvalue, { rows: 5, submitted: 7 });
    await worker.close();
    await queue.close();
  });

  test('a job that a worker holds counts as live, and no rows wait for it', async () => {
    const name = newName();
    const queue = openQueue(storage().store, name);
    await addChunks(queue, [chunk(1), chunk(2)]);
    const taken = Promise.withResolvers<void>();
    const end = Promise.withResolvers<ChunkResult>();
    const worker = openWorker(
      storage().store,
      name,
      () => {
        taken.resolve();
        return end.promise;
      },
      1,
    );
    void worker.run();
    await taken.promise;
    assert.deepEqual(
      (await readLive(queue)).waiting,
      new Map([
        [1, 0],
        [2, 5],
      ]),
    );
    end.resolve({ rows: 5 });
    await until(async () => (await liveBatches(queue)).length === 0);
    await worker.close();
    await queue.close();
  });

  test('jobs of a higher rank are taken first, and those of one rank in their order', async () => {
    const name = newName();
    const queue = openQueue(storage().store, name);
    const ranks = [0, -200, 3, 200, 3, 0];
    await addChunks(
      queue,
      ranks.map((rank, n) => chunk(n + 1, { rank })),
    );
    assert.equal((await countByState(queue))['waiting'], ranks.length, 'those with a priority wait, too');
    const order: number[] = [];
    const done = Promise.withResolvers<void>();
    const worker = openWorker(
      storage().store,
      name,
      (job) => {
        order.push(job.data.batch);
        if (order.length === ranks.length) done.resolve();
        return Promise.resolve({ rows: 0 });
      },
      1,
    );
    void worker.run();
    await done.promise;
    assert.deepEqual(order, [4, 3, 5, 1, 6, 2]);
    await worker.close();
    await queue.close();
  });

  test('a delayed job lives, and comes back', async () => {
    const name = newName();
    const queue = openQueue(storage().store, name);
    await addChunks(queue, [chunk(1)]);
    const delayed = Promise.withResolvers<void>();
    const again = Promise.withResolvers<void>();
    let runs = 0;
    const worker = openWorker(
      storage().store,
      name,
      async (job: Job<ChunkData, ChunkResult>, token?: string) => {
        runs += 1;
        if (runs === 1) {
          await job.moveToDelayed(Date.now() + HOUR_MS, token);
          delayed.resolve();
          throw new DelayedError();
        }
        again.resolve();
        return { rows: 0 };
      },
      1,
    );
    void worker.run();
    await delayed.promise;
    const { jobs } = await readLive(queue);
    assert.deepEqual(
      jobs.map(({ batch }) => batch),
      [1],
    );
    await (await queue.getJob(jobs[0]?.id ?? ''))?.changeDelay(1);
    await again.promise;
    await worker.close();
    assert.equal(runs, 2);
    await queue.close();
  });

  test('a job that fails is failed at once: BullMQ does not try it again', async () => {
    const name = newName();
    const queue = openQueue(storage().store, name);
    await addChunks(queue, [chunk(1), chunk(2)]);
    const failed = Promise.withResolvers<void>();
    const reasons: string[] = [];
    const worker = openWorker(
      storage().store,
      name,
      ({ data }) =>
        Promise.reject(data.batch === 1 ? new Error('not ours') : new UnrecoverableError('a row 😀')),
      1,
    );
    worker.on('failed', (_job, error) => {
      if (reasons.push(error.message) === 2) failed.resolve();
    });
    void worker.run();
    await failed.promise;
    assert.deepEqual(reasons, ['not ours', 'a row 😀']);
    assert.deepEqual(await liveBatches(queue), []);
    assert.equal((await countByState(queue))['failed'], 2);
    await worker.close();
    await queue.close();
  });

  test('a job shows its rows, its progress and its log, in any script', async () => {
    const name = newName();
    const queue = openQueue(storage().store, name);
    await addChunks(queue, [chunk(1)]);
    const done = Promise.withResolvers<void>();
    const took = [{ key: '钥 😀', prompt: 'a "cat" \\ \u2028' }];
    const worker = openWorker(
      storage().store,
      name,
      async (job) => {
        await job.updateData({ ...job.data, took });
        await job.updateProgress({ claimed: 1, of: 5 });
        await job.log('钥: accepted 😀');
        return { rows: 1 };
      },
      1,
    );
    worker.on('completed', () => done.resolve());
    void worker.run();
    await done.promise;
    const [job] = await queue.getJobs(['completed']);
    assert.deepEqual([job?.data.took, job?.progress], [took, { claimed: 1, of: 5 }]);
    assert.deepEqual((await queue.getJobLogs(job?.id ?? '')).logs, ['钥: accepted 😀']);
    await worker.close();
    await queue.close();
  });

  test('two queues never take each other’s jobs', async () => {
    const queues = [newName(), newName()].map((name) => openQueue(storage().store, name));
    for (const [n, queue] of queues.entries()) await addChunks(queue, [chunk(n + 1)]);
    for (const [n, queue] of queues.entries()) {
      assert.deepEqual(await liveBatches(queue), [n + 1]);
      await queue.close();
    }
  });
});
