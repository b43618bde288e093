import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Job } from 'bullmq';
import { createLog } from '../../src/core/log.ts';
import { startSimulator, type Simulator } from '../../src/simulator/server.ts';
import { listFeeders } from '../../src/ledger/send/feeder.ts';
import type { ChunkData } from '../../src/worker/queue/chunk.ts';
import { queueName } from '../../src/worker/queue/name.ts';
import { countByState, openQueue, readLive } from '../../src/worker/queue/queue.ts';
import { startSending, untilDone } from '../../src/worker/sending.ts';
import { makeBatch, only, statesOf, storedOne, editRow } from '../contract/rows.ts';
import { openStorage, type Storage } from '../contract/storages.ts';
import { until } from '../until.ts';

const log = createLog('silent');

for (const kind of ['postgres', 'redis+embedded'] as const) {
  describe(`a worker, with its queue on ${kind}`, () => {
    let storage: Storage;
    let simulator: Simulator;

    before(async () => {
      simulator = await startSimulator({ slowMs: 2_500 });
      storage = await openStorage(kind, { baseUrl: simulator.url, apiKey: 'sk-test' });
    });
    after(async () => {
      await storage.close();
      await simulator.close();
    });

    async function work(
      batches: readonly number[] | null,
      concurrency = 8,
      models: string[] = [],
    ): Promise<void> {
      const config = { ...storage.config, models };
      const sending = await startSending(storage, config, { concurrency }, { batches, log });
      await untilDone(storage, sending, batches, { log });
      assert.equal(await sending.close(), 0);
    }

    test('sends each row once, by jobs that show their rows and the results', async () => {
      const made = await makeBatch(storage.db, { rows: 40, origin: simulator.url });
      const sent = simulator.record.length;
      await work(null);
      assert.deepEqual(new Set(await statesOf(storage.db, made)), new Set(['submitted']));
      assert.equal(simulator.record.length - sent, 40);
      const queue = openQueue(storage.store, queueName(storage.ledgerId, null));
      const jobs = (await queue.getJobs(['completed'])).filter(({ name }) => name === made.name);
      let rows = 0;
      let lines = 0;
      for (const job of jobs) {
        assert.ok(Buffer.byteLength(JSON.stringify(job.data)) < 1024);
        if (job.returnvalue['rows'] === 0) continue;
        rows += Number(job.returnvalue['submitted']);
        assert.match(job.data.took?.[0]?.key ?? '', /^k\d+$/);
        assert.match(job.data.took?.[0]?.prompt ?? '', /^第 \d+$/);
        const told = only((await queue.getJobLogs(job.id ?? '')).logs).split('\n');
        assert.match(told[0] ?? '', /^k\d+: accepted as task /);
        lines += told.length;
      }
      assert.deepEqual([rows, lines], [40, 40]);
      await queue.close();
    });

    test('fails a job in which a row was refused, and says why; the other rows are sent', async () => {
      const made = await makeBatch(storage.db, { rows: 5, origin: simulator.url });
      const [, bad = 0] = made.rows;
      await editRow(storage.db, bad, { request: '{"model":"no-such-model","prompt":"😀"}' });
      await work(null, 2, ['no-such-model']);
      assert.equal((await storedOne(storage.db, bad)).state, 'rejected');
      assert.equal((await statesOf(storage.db, made)).filter((state) => state === 'submitted').length, 4);
      const queue = openQueue(storage.store, queueName(storage.ledgerId, null));
      const failed = only((await queue.getJobs(['failed'])).filter(({ name }) => name === made.name));
      assert.match(failed.failedReason, /^(1 of \d rows needs a look; )?k2: rejected/);
      await queue.close();
    });

    test('shows a job while it runs and at its end: its worker, its progress, and its rows by their lines', async () => {
      const made = await makeBatch(storage.db, { rows: 1, origin: simulator.url });
      await storage.db.query(
        `update vidbatch.row set row_key = 'h1:' || repeat('0', 64) || '#1', line = 12 where id = any($1::bigint[])`,
        [made.rows],
      );
      simulator.faults.add({ match: { times: 1 }, fault: 'slow-headers' });
      const queue = openQueue(storage.store, queueName(storage.ledgerId, null));
      const sending = await startSending(storage, storage.config, {}, { batches: null, log });
      const active = async (): Promise<Job<ChunkData> | undefined> => (await queue.getJobs(['active']))[0];
      await until(async () => ((await active())?.progress ?? 0) !== 0);
      const shown = await active();
      assert.deepEqual(shown?.data.took, [{ key: 'line 12', prompt: '第 1' }]);
      assert.deepEqual(shown?.progress, { progress: 0, claimed: 1, settled: 0, of: 1 });
      assert.equal(shown?.processedBy, sending.worker.id);
      await untilDone(storage, sending, null, { log });
      assert.equal(await sending.close(), 0);
      const over = await queue.getJob(shown?.id ?? '');
      assert.deepEqual(over?.progress, { progress: 100, claimed: 1, settled: 1, of: 1 });
      assert.match(only((await queue.getJobLogs(shown?.id ?? '')).logs), /^line 12: accepted as task /);
      await queue.close();
    });

    test('does not send a row that breaks a rule by now: it is invalid, costs nothing, and the job says so', async () => {
      const made = await makeBatch(storage.db, { rows: 5, origin: simulator.url, price: 2, budget: 10 });
      const [, bad = 0] = made.rows;
      await editRow(storage.db, bad, { request: '{"model":"viduq3p-720p","prompt":"a fox","duration":99}' });
      const sent = simulator.record.length;
      await work(null, 2);
      assert.equal(simulator.record.length - sent, 4);
      const { state, error_code, error, spent } = await storedOne(storage.db, bad);
      assert.deepEqual(
        [state, error_code, error, spent],
        ['invalid', 'duration-range', 'not sent: duration 99 is not between 1 and 16', 0],
      );
      const { rows } = await storage.db.query<{ held: string }>(
        'select held::text from vidbatch.batch where id = $1',
        [made.id],
      );
      assert.equal(only(rows).held, '8');
      const queue = openQueue(storage.store, queueName(storage.ledgerId, null));
      const failed = only((await queue.getJobs(['failed'])).filter(({ name }) => name === made.name));
      assert.match(
        failed.failedReason,
        /^(1 of \d rows needs a look; )?k2: invalid \(duration-range\): not sent: /,
      );
      await queue.close();
    });

    test('of a run leaves no queue behind', async () => {
      const made = await makeBatch(storage.db, { rows: 3, proven: false, origin: simulator.url });
      await work([made.id]);
      assert.deepEqual(new Set(await statesOf(storage.db, made)), new Set(['submitted']));
      const queue = openQueue(storage.store, queueName(storage.ledgerId, [made.id]), {
        skipMetasUpdate: true,
      });
      assert.deepEqual((await readLive(queue)).jobs, []);
      assert.ok(Object.values(await countByState(queue)).every((count) => count === 0));
      await queue.close();
    });

    test('leaves its journal to be read where the ledger was restored to before its claims', async () => {
      const made = await makeBatch(storage.db, { rows: 2, origin: simulator.url });
      const [lost = 0] = made.rows;
      const sent = simulator.record.length;
      const sending = await startSending(storage, storage.config, {}, { batches: [made.id], log });
      await untilDone(storage, sending, [made.id], { log });
      await storage.db.query('delete from vidbatch.task where submission_id = $1', [lost]);
      await storage.db.query('delete from vidbatch.attempt where submission_id = $1', [lost]);
      await storage.db.query(
        `update vidbatch.row_state set previous = state, state = 'pending', task_id = null, submitted_at = null,
                attempt_id = null, attempts = 0, provider_status = null where id = $1`,
        [lost],
      );
      assert.equal(await sending.close(), 0);
      await work([made.id]);
      assert.deepEqual(await statesOf(storage.db, made), ['submitted', 'submitted']);
      assert.equal(simulator.record.length - sent, 2);
    });

    test('removes the queues of runs that were killed', async () => {
      const dead = queueName(storage.ledgerId, [987_654_320]);
      const left = openQueue(storage.store, dead);
      await left.add('gone', { batch: 987_654_320, rows: 3 });
      await storage.db.query(
        `insert into vidbatch.feeder (queue, seen_at) values ($1, now() - interval '31 seconds')`,
        [dead],
      );
      await makeBatch(storage.db, { rows: 1, origin: simulator.url });
      await work(null);
      assert.deepEqual((await readLive(left)).jobs, []);
      assert.ok((await listFeeders(storage.db)).every(({ queue }) => queue !== dead));
      await left.close();
    });

    test('fails a job that names no batch, and one whose batch is not there', async () => {
      const queue = openQueue(storage.store, queueName(storage.ledgerId, null));
      await queue.add('foreign', { hello: 1 } as never, { jobId: 'foreign', attempts: 5 });
      await queue.add('gone', { batch: 987_654_321, rows: 3 }, { jobId: 'gone' });
      const made = await makeBatch(storage.db, { rows: 2, origin: simulator.url });
      await work(null);
      assert.deepEqual(new Set(await statesOf(storage.db, made)), new Set(['submitted']));
      const foreign = await queue.getJob('foreign');
      assert.match(foreign?.failedReason ?? '', /^the job names no batch/);
      assert.match((await queue.getJob('gone'))?.failedReason ?? '', /^the job names no batch/);
      await queue.close();
    });
  });
}
