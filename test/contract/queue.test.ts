import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { DelayedError } from 'bullmq';
import type { Job } from 'bullmq';
import type { Fed } from '../../src/ledger/send/feed.ts';
import {
  countLive,
  enqueue,
  jobId,
  laneOf,
  liveJobIds,
  openQueue,
  openWorker,
} from '../../src/worker/queue/queue.ts';
import type { JobData, JobResult } from '../../src/worker/queue/queue.ts';
import { until } from '../until.ts';
import { onEvery, QUEUES } from './storages.ts';

function fed(submissionId: number, generation = 1): Fed {
  return {
    submissionId,
    generation,
    batch: 'b',
    key: `k${submissionId}`,
    line: submissionId,
    model: 'viduq3p-720p',
    mode: 'text',
    preview: '提示 "quoted" 😀 \u2028',
  };
}

const HOUR_MS = 3_600_000;
const ROWS = Array.from({ length: 1203 }, (_, n) => fed(n + 1));

test('a lane is named after its ledger, and a run’s also after its batches', () => {
  assert.equal(laneOf('abc', null), 'vidbatch-abc');
  assert.equal(laneOf('abc', [3, 5]), 'vidbatch-abc-run-3-5');
  assert.equal(jobId(7, 2), 's7-2');
});

onEvery(QUEUES, (storage) => {
  const lane = (): string => `${laneOf(storage().ledgerId, null)}-${randomUUID().slice(0, 8)}`;

  test('takes thousands of rows, and knows which jobs live', async () => {
    const queue = openQueue(storage().store, lane());
    assert.equal(await countLive(queue), 0);
    await enqueue(queue, ROWS);
    assert.equal(await countLive(queue), ROWS.length);
    assert.deepEqual(
      await liveJobIds(queue),
      new Set(ROWS.map(({ submissionId }) => jobId(submissionId, 1))),
    );
    const job = await queue.getJob('s5-1');
    assert.equal(job?.name, 'text');
    assert.equal(job.opts.attempts, 1);
    assert.deepEqual(job.data, {
      submission: 5,
      batch: 'b',
      key: 'k5',
      line: 5,
      model: 'viduq3p-720p',
      mode: 'text',
      preview: ROWS[4]?.preview,
    });
    await enqueue(queue, []);
    await queue.obliterate({ force: true });
    await queue.close();
  });

  test('a worker runs every job once, and its finished ones are kept in bounded number', async () => {
    const name = lane();
    const queue = openQueue(storage().store, name);
    await enqueue(queue, ROWS.slice(0, 60));
    const runs: number[] = [];
    const done = Promise.withResolvers<void>();
    const worker = openWorker(
      storage().store,
      name,
      (job) => {
        runs.push(job.data.submission);
        return Promise.resolve({ state: 'submitted', taskId: `task_${job.data.submission}` });
      },
      4,
    );
    worker.on('completed', () => {
      if (runs.length === 60) done.resolve();
    });
    void worker.run();
    await done.promise;
    await until(async () => (await countLive(queue)) === 0);
    assert.deepEqual(
      runs.toSorted((a, b) => a - b),
      ROWS.slice(0, 60).map(({ submissionId }) => submissionId),
    );
    assert.deepEqual((await queue.getJob('s7-1'))?.returnvalue, { state: 'submitted', taskId: 'task_7' });

    await enqueue(queue, [fed(7), fed(7, 2)]);
    await until(async () => (await countLive(queue)) === 0);
    await until(() => Promise.resolve(runs.length === 61));
    assert.equal(
      runs.filter((n) => n === 7).length,
      2,
      'a kept job id never runs again, a new generation does',
    );
    await worker.close();
    await queue.close();
  });

  test('a delayed job lives, and comes back', async () => {
    const name = lane();
    const queue = openQueue(storage().store, name);
    await enqueue(queue, [fed(1)]);
    const delayed = Promise.withResolvers<void>();
    const again = Promise.withResolvers<void>();
    let runs = 0;
    const worker = openWorker(
      storage().store,
      name,
      async (job: Job<JobData, JobResult>, token?: string) => {
        runs += 1;
        if (runs === 1) {
          await job.moveToDelayed(Date.now() + HOUR_MS, token);
          delayed.resolve();
          throw new DelayedError();
        }
        again.resolve();
        return { state: 'submitted' };
      },
      1,
    );
    void worker.run();
    await delayed.promise;
    assert.deepEqual(await liveJobIds(queue), new Set(['s1-1']));
    assert.equal(await countLive(queue), 1);
    await (await queue.getJob('s1-1'))?.changeDelay(1);
    await again.promise;
    await worker.close();
    assert.equal(runs, 2);
    await queue.close();
  });

  test('a job that fails is failed at once: nothing but us tries again', async () => {
    const name = lane();
    const queue = openQueue(storage().store, name);
    await enqueue(queue, [fed(1)]);
    const failed = Promise.withResolvers<string>();
    const worker = openWorker(storage().store, name, () => Promise.reject(new Error('not ours')), 1);
    worker.on('failed', (_job, error) => failed.resolve(error.message));
    void worker.run();
    assert.equal(await failed.promise, 'not ours');
    assert.equal(await countLive(queue), 0);
    assert.equal((await queue.getJobCounts('failed'))['failed'], 1);
    await worker.close();
    await queue.close();
  });

  test('queues of two lanes never take each other’s jobs', async () => {
    const names = [lane(), lane()];
    const queues = names.map((name) => openQueue(storage().store, name));
    for (const [n, queue] of queues.entries()) await enqueue(queue, [fed(n + 1)]);
    for (const [n, queue] of queues.entries()) {
      assert.deepEqual(await liveJobIds(queue), new Set([jobId(n + 1, 1)]));
      await queue.close();
    }
  });
});
