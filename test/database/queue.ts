import assert from 'node:assert/strict';
import { Queue, QueueEvents, Worker, createPostgresBackend, runMigrations } from 'bullmq';
import { transaction, type Session } from '../../src/database/database.ts';
import type { EmbeddedDatabase } from '../../src/database/embedded.ts';

/** BullMQ runs all of its jobs, while transactions that did `write` are rolled back, one after another. */
export async function assertQueueWorks(
  connection: EmbeddedDatabase,
  { name, jobs, delayed }: { name: string; jobs: number; delayed: number },
  write: (session: Session, i: number) => Promise<unknown>,
): Promise<void> {
  const session = await connection.connect();
  await runMigrations(session);
  session.release();
  const queue = new Queue(name, { connection }, createPostgresBackend);
  const events = new QueueEvents(name, { connection }, createPostgresBackend);
  await events.waitUntilReady();
  const done = new Set<number>();
  const all = Promise.withResolvers<void>();
  const worker = new Worker(
    name,
    (job) => {
      done.add((job.data as { n: number }).n);
      if (done.size === jobs + delayed) all.resolve();
      return Promise.resolve();
    },
    { connection, concurrency: 4 },
    createPostgresBackend,
  );
  const stop = new AbortController();
  const ledger = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      const rolledBack = transaction(connection, async (inner) => {
        await write(inner, i);
        await inner.query('select 1/0');
      });
      await assert.rejects(rolledBack, { code: '22012' });
    }
  })();
  for (let n = 0; n < delayed; n++) await queue.add('row', { n: jobs + n }, { delay: 50 });
  const rows = Array.from({ length: jobs }, (_, n) => ({ name: 'row', data: { n } }));
  await queue.addBulk(rows.slice(0, jobs / 2));
  await Promise.all(rows.slice(jobs / 2).map(({ name, data }) => queue.add(name, data)));
  await all.promise;
  stop.abort();
  await ledger;
  await worker.close();
  const { completed, failed } = await queue.getJobCounts();
  assert.deepEqual([completed, failed], [jobs + delayed, 0]);
  await events.close();
  await queue.close();
}
