import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApp, openLedger } from '../../src/worker/app.ts';
import type { LedgerApp } from '../../src/worker/app.ts';
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
