/** A BullMQ worker as its documentation has it, on Redis or on PGlite, which only posts. */
import { createPostgresBackend, Worker, type Processor, type WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { join } from 'node:path';
import { openEmbedded } from '../../src/database/embedded.ts';
import { crashPoint } from '../../src/core/crash-points.ts';
import { openPoster } from './post.ts';
import { KEEP, QUEUE, readTask, type Body } from './task.ts';

const { baseUrl, rows, concurrency, redisUrl, folder } = readTask();
const { post, close } = openPoster(baseUrl, concurrency);
const { promise: done, resolve: finish } = Promise.withResolvers<void>();

const perform: Processor = async (job) => {
  crashPoint('job-taken');
  return { taskId: await post((job.data as Body).body) };
};

async function open(): Promise<{ worker: Worker; shut: () => Promise<void> }> {
  const options = { concurrency, ...KEEP };
  if (redisUrl !== '') {
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
    const worker = new Worker(QUEUE, perform, { ...options, connection });
    return { worker, shut: async () => connection.disconnect() };
  }
  const pool = await openEmbedded(join(folder, 'database'));
  const onPool = { ...options, connection: pool } as unknown as WorkerOptions;
  const worker = new Worker(QUEUE, perform, onPool, createPostgresBackend as never);
  return { worker, shut: () => pool.end() };
}

const { worker, shut } = await open();
let completed = 0;
worker.on('completed', () => {
  completed += 1;
  if (completed === rows) finish();
});
worker.on('failed', (_job, error) => {
  throw error;
});
await done;
await worker.close();
await shut();
await close();
