import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ensureProvider } from '../../src/ledger/send/provider.ts';
import { readWorkers, sayAlive } from '../../src/ledger/workers.ts';
import { openApp, openLedger, type LedgerApp } from '../../src/worker/app.ts';
import { openQueue } from '../../src/worker/queue/queue.ts';
import { place } from '../contract/storages.ts';

async function hasQueue({ db }: LedgerApp): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>(
    `select to_regclass('bullmq.job') is not null as there`,
  );
  return rows[0]?.there === true;
}

test('an embedded ledger that is only looked at has no queue made; a guest that needs one makes it', async (t) => {
  const { config, remove } = await place('embedded');
  t.after(remove);
  // With a Redis, the ledger is made without a queue beside it.
  const maker = await openLedger({ ...config, redisUrl: 'redis://127.0.0.1:1' }, 'writer');
  await maker.close();
  const holder = await openLedger(config, 'reader');
  t.after(() => holder.close());
  assert.equal(await hasQueue(holder), false);
  const guest = await openApp(config, 'writer');
  t.after(() => guest.close());
  assert.equal(await hasQueue(holder), true);
  const queue = openQueue(guest.store, 'of-the-guest');
  t.after(() => queue.close());
  await queue.waitUntilReady();
  assert.deepEqual(await queue.getJobCounts('waiting'), { waiting: 0 });
});

test('the holder of an embedded ledger knows that a worker which was killed is not alive', async (t) => {
  const { config, remove } = await place('embedded');
  t.after(remove);
  const worker = await openLedger(config, 'writer');
  const origin = 'https://api.example';
  await ensureProvider(worker.db, origin);
  const facts = { host: 'host', pid: 1, version: '0.1.0', origin, batches: null };
  const pulse = { inFlight: 0, recorded: 0, perSecond: 0, draining: false };
  await sayAlive(worker.db, { ...facts, id: 'killed', concurrency: 8, limits: [] }, pulse);
  await worker.close();
  const holder = await openLedger(config, 'writer');
  t.after(() => holder.close());
  assert.deepEqual(
    (await readWorkers(holder.db)).map(({ id, alive }) => [id, alive]),
    [['killed', false]],
  );
});
