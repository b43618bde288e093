import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/database/database.ts';
import { findBatch, type Batch } from '../../src/ledger/batches.ts';
import { cancelBy } from '../../src/ledger/operator/pause.ts';
import { readRetryable, retryRows } from '../../src/operate/retry.ts';
import { claimAll, claimFirst, makeBatch, recordOne, statesOf, type Made } from '../contract/rows.ts';
import { LEDGERS, onEvery } from '../contract/storages.ts';

onEvery(LEDGERS, (storage) => {
  /** Three rows, and the first one is rejected. A person is asked whether to retry it. */
  async function asked(): Promise<{ db: Database; made: Made; batch: Batch }> {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3 });
    await recordOne(db, await claimFirst(db, made), 'rejected');
    const batch = await findBatch(db, made.name);
    assert.ok(batch);
    return { db, made, batch };
  }

  test('a retry sends the rows that the person saw, and none that was rejected since', async () => {
    const { db, made, batch } = await asked();
    const seen = await readRetryable(db, batch, {});
    for (const claimed of await claimAll(db, made, made.rows.slice(1, 2)))
      await recordOne(db, claimed, 'rejected');
    assert.equal(await retryRows(db, 'anna', batch, {}, seen), 1);
    assert.deepEqual((await statesOf(db, made)).toSorted(), ['pending', 'pending', 'rejected']);
  });

  test('a retry does not undo a cancel that another person has said meanwhile', async () => {
    const { db, made, batch } = await asked();
    const seen = await readRetryable(db, batch, {});
    assert.equal(seen.rows, 1);
    await cancelBy(db, 'ben', batch);
    await assert.rejects(retryRows(db, 'anna', batch, {}, seen), { code: 'CHANGED_MEANWHILE' });
    assert.deepEqual((await statesOf(db, made)).toSorted(), ['cancelled', 'cancelled', 'rejected']);
    const cancelled = await findBatch(db, made.name);
    assert.ok(cancelled);
    assert.equal(await retryRows(db, 'anna', cancelled, {}, await readRetryable(db, cancelled, {})), 3);
  });
});
