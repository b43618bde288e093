import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Database } from '../../../src/database/database.ts';
import { countTasks } from '../../../src/ledger/tasks/tasks.ts';
import { createLog } from '../../../src/core/log.ts';
import { startPoller, type PollerOptions } from '../../../src/results/poll/poller.ts';
import { askerOf } from '../../../src/provider/asker.ts';
import { rememberedProfiles } from '../../../src/provider/profile/remembered.ts';
import { createProvider } from '../../../src/provider/client.ts';
import { reconcile, type Reconciled, type ReconcileOptions } from '../../../src/results/reconcile.ts';
import { take } from '../../contract/polls.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { assertTrue, makeCrowd, planOf, type Crowd } from '../../contract/tasks.ts';

const UNIT_MS = 40;
const plan = planOf(UNIT_MS);
const log = createLog('silent');

function how(
  db: Database,
  { simulator }: Crowd,
): Pick<PollerOptions, 'provider' | 'plan' | 'timeoutMs' | 'log'> & {
  close: () => Promise<void>;
} {
  const provider = createProvider({ baseUrl: simulator.url, apiKey: 'any-key-will-do', timeoutMs: 5_000 });
  const asker = askerOf(provider, rememberedProfiles(db));
  return { provider: asker, plan, timeoutMs: 5_000, log, close: () => provider.close() };
}

async function reconciled(
  db: Database,
  crowd: Crowd,
  options: Partial<ReconcileOptions> = {},
): Promise<Reconciled> {
  const { provider, close, ...rest } = how(db, crowd);
  try {
    return await reconcile(db, provider, { batchId: crowd.id, concurrency: 8, ...rest, ...options });
  } finally {
    await close();
  }
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('tasks of every kind', () => {
    it('get their status, although one of three pollers dies: no task is polled by two at a time', async () => {
      const { db } = storage();
      const rows = 110;
      const crowd = await makeCrowd(db, rows, UNIT_MS, {
        queryFaults: ['status-502=0.02', 'truncated-json=0.02', 'throttle=0.01'],
      });
      const { provider, close, ...rest } = how(db, crowd);
      try {
        const died = await take(db, crowd, { room: 10, leaseMs: 10 * UNIT_MS });
        const workers = [1, 2].map(() =>
          startPoller({ db, provider, batches: null, concurrency: 4, ...rest }),
        );
        const result = await reconciled(db, crowd, { watch: true });
        await Promise.all(workers.map((worker) => worker.stop()));
        assert.equal(result.silent, null);
        assert.deepEqual(
          [result.tasks.missing, result.tasks.failed, result.tasks.completed],
          [rows / 11, (2 * rows) / 11, (8 * rows) / 11],
        );
        // What the dead one had taken counts as asked for.
        await db.query('update vidbatch.task set polls = polls - 1 where submission_id = any($1::bigint[])', [
          died.map((task) => task.submissionId),
        ]);
        await assertTrue(db, crowd);
        const { queries } = crowd.simulator.stats();
        assert.ok(queries <= 8 * rows, `${queries} questions about ${rows} tasks`);
      } finally {
        await close();
        await crowd.simulator.close();
      }
    });

    it('are polled once in a pass, and ended tasks on demand: a changed status is reported', async () => {
      const { db } = storage();
      const rows = 22;
      const crowd = await makeCrowd(db, rows, 0, { task: { queuedMs: 0, runningMs: 0 } });
      try {
        const once = await reconciled(db, crowd);
        assert.deepEqual([once.asked, once.completed, once.failed, once.missing], [22, 12, 4, 6]);
        const again = await reconciled(db, crowd);
        assert.equal(again.asked, 6, 'those that are not over');
        const ended = await reconciled(db, crowd, { ended: true });
        assert.equal(ended.asked, 22);
        assert.deepEqual([ended.otherwise, ended.tasks.otherwise], [4, 4]);
        const { completed, failed } = await countTasks(db, [crowd.id]);
        assert.deepEqual([completed, failed], [14, 4], 'what came first stays');
      } finally {
        await crowd.simulator.close();
      }
    });
  });

  describe('a provider that', () => {
    it('refuses the key is not asked for every task', async () => {
      const { db } = storage();
      const crowd = await makeCrowd(db, 33, 0, { apiKey: 'any-key-will-do' });
      const provider = createProvider({ baseUrl: crowd.simulator.url, apiKey: 'another' });
      try {
        const result = await reconcile(db, askerOf(provider, rememberedProfiles(db)), {
          batchId: crowd.id,
          concurrency: 4,
          timeoutMs: 5_000,
          plan,
          log,
          watch: true,
        });
        assert.match(result.silent ?? '', /HTTP 401/);
        assert.ok(result.asked <= 8, String(result.asked));
      } finally {
        await provider.close();
        await crowd.simulator.close();
      }
    });

    it('does not answer is not waited for when the poller is stopped, and the tasks are free', async () => {
      const { db } = storage();
      const crowd = await makeCrowd(db, 3, 0, { queryFaults: ['timeout'] });
      const stop = new AbortController();
      void crowd.simulator.reached({ queries: 3 }).then(() => stop.abort());
      try {
        const result = await reconciled(db, crowd, { watch: true, signal: stop.signal });
        assert.equal(result.asked, 0);
        assert.equal((await take(db, crowd)).length, 3);
      } finally {
        await crowd.simulator.close();
      }
    });
  });
});
