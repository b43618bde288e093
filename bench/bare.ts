import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { createPostgresBackend, Queue, type QueueOptions } from 'bullmq';
import { makeWorkerUtils } from 'graphile-worker';
import { Redis } from 'ioredis';
import { migrateQueue } from '../src/worker/queue/store.ts';
import { openEmbedded } from '../src/database/embedded.ts';
import { BULK, KEEP, QUEUE, type Body, type Task } from './bare/task.ts';
import type { Contender, Prepared, Setting } from './contender.ts';
import { bodyOf, writeManifest } from './rows.ts';
import type { Stage } from './stage.ts';

/** Those that only post, or only fill a queue: what anybody would write in an afternoon. */
function bare(
  script: string,
  title: string,
  ready: (
    stage: Stage,
    setting: Setting,
    folder: string,
  ) => Promise<Partial<Task> & Pick<Prepared, 'discard'>>,
  { measure = 'posts', args = [] }: { measure?: Contender['measure']; args?: readonly string[] } = {},
): Contender {
  return {
    title,
    measure,
    async prepare(stage, setting) {
      const folder = await stage.folder();
      const { discard, ...places } = await ready(stage, setting, folder);
      const nothing = { redisUrl: '', databaseUrl: '', manifest: '' };
      const task: Task = { ...setting, baseUrl: stage.target.url, folder, ...nothing, ...places };
      const env = { BENCH_TASK: JSON.stringify(task) };
      return {
        folder,
        run: { script: `bare/${script}`, args, env },
        ...(discard === undefined ? {} : { discard }),
      };
    },
  };
}

/** As text: where a queue keeps its jobs as `jsonb`, an object would come back with its keys in another order. */
async function inBulks(rows: number, add: (bodies: Body[]) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < rows; start += BULK) {
    const size = Math.min(BULK, rows - start);
    await add(Array.from({ length: size }, (_, index) => ({ body: bodyOf(start + index) })));
  }
}

async function addAll(queue: Queue, rows: number): Promise<void> {
  await inBulks(rows, (bodies) =>
    queue.addBulk(bodies.map((data) => ({ name: QUEUE, data, opts: { attempts: 1 } }))),
  );
}

export async function emptyRedis(stage: Stage): Promise<Redis> {
  const { url } = await stage.redis();
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  await redis.flushall();
  return redis;
}

async function fillRedis(stage: Stage, { rows }: Setting): Promise<Partial<Task>> {
  const connection = await emptyRedis(stage);
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: KEEP });
  await addAll(queue, rows);
  await queue.close();
  connection.disconnect();
  return { redisUrl: (await stage.redis()).url };
}

/** The files of a PGlite whose queue holds the rows. */
async function makePglite(stage: Stage, rows: number): Promise<string> {
  const files = join(await stage.folder(), 'database');
  const pool = await openEmbedded(files);
  await migrateQueue(pool);
  const options = { connection: pool, defaultJobOptions: KEEP } as unknown as QueueOptions;
  const queue = new Queue(QUEUE, options, createPostgresBackend as never);
  await addAll(queue, rows);
  await queue.close();
  await pool.end();
  return files;
}

/** A database in which graphile-worker has the rows. */
async function makeGraphile(stage: Stage, rows: number): Promise<string> {
  const { url } = await stage.database();
  const utils = await makeWorkerUtils({ connectionString: url });
  await utils.migrate();
  await inBulks(rows, (bodies) =>
    utils.addJobs(bodies.map((payload) => ({ identifier: QUEUE, payload, maxAttempts: 1 }))),
  );
  await utils.release();
  return url;
}

async function readyGraphile(
  stage: Stage,
  { rows }: Setting,
): Promise<Partial<Task> & Pick<Prepared, 'discard'>> {
  const template = await stage.once(`graphile ${rows}`, () => makeGraphile(stage, rows));
  const { url, drop } = await stage.database(template);
  return { databaseUrl: url, discard: drop };
}

export const undici = bare('undici.ts', 'undici alone', async () => ({}));

export const bullmq = bare('bullmq.ts', 'BullMQ on Redis', fillRedis);

export const bullmqPglite = bare('bullmq.ts', 'BullMQ on PGlite', async (stage, { rows }, folder) => {
  const files = await stage.once(`pglite ${rows}`, () => makePglite(stage, rows));
  await cp(files, join(folder, 'database'), { recursive: true });
  return {};
});

export const graphile = bare('graphile.ts', 'graphile-worker, batched', readyGraphile, { args: ['batched'] });

export const graphileDefaults = bare('graphile.ts', 'graphile-worker, its defaults', readyGraphile);

export const csvBulk = bare(
  'csv.ts',
  'csv-parse and addBulk',
  async (stage, { rows }) => {
    (await emptyRedis(stage)).disconnect();
    const manifest = await stage.once(`csv ${rows}`, async () => {
      const path = join(await stage.folder(), 'rows.csv');
      await writeManifest(path, rows);
      return path;
    });
    return { redisUrl: (await stage.redis()).url, manifest };
  },
  { measure: 'points' },
);
