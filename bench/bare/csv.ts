/** The rows of a CSV in a BullMQ queue, as its documentation and that of csv-parse have it. */
import { createReadStream } from 'node:fs';
import { Queue } from 'bullmq';
import { parse } from 'csv-parse';
import { Redis } from 'ioredis';
import { crashPoint } from '../../src/core/crash-points.ts';
import { BULK, KEEP, QUEUE, readTask } from './task.ts';

const { redisUrl, manifest } = readTask();
const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
const queue = new Queue(QUEUE, { connection, defaultJobOptions: KEEP });
await queue.waitUntilReady();

crashPoint('ledger-migrated');
let jobs: { name: string; data: unknown }[] = [];
for await (const data of createReadStream(manifest).pipe(parse({ columns: true }))) {
  jobs.push({ name: QUEUE, data });
  if (jobs.length < BULK) continue;
  await queue.addBulk(jobs);
  jobs = [];
}
await queue.addBulk(jobs);
crashPoint('chunks-queued');
await queue.close();
connection.disconnect();
