import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSweeper } from '../../src/worker/sweeper.ts';
import { hear } from '../contract/log.ts';
import { claimFirst, letTimePass, makeBatch, statesOf } from '../contract/rows.ts';
import { openStorage } from '../contract/storages.ts';

test('every few seconds what passed its deadline is judged, also after the ledger was away', async (t) => {
  const storage = await openStorage('postgres');
  const made = await makeBatch(storage.db);
  await claimFirst(storage.db, made);
  await letTimePass(storage.db, made, 60_001);
  let away = true;
  const { db } = storage;
  const flaky = {
    query: ((text, params) =>
      away ? Promise.reject(new Error('ledger away')) : db.query(text, params)) as typeof db.query,
    connect: () => db.connect(),
    end: () => db.end(),
  };
  const heard = hear();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const stop = startSweeper(flaky, heard.log, () => Promise.resolve(undefined));
  t.mock.timers.tick(5000);
  await heard.event('sweep-failed');
  away = false;
  t.mock.timers.tick(5000);
  assert.equal((await heard.event('swept'))['rows'], 1);
  assert.deepEqual(await statesOf(db, made), ['uncertain']);
  await stop();
  const { length } = heard.lines;
  t.mock.timers.tick(60_000);
  assert.equal(heard.lines.length, length, 'and no more once it is stopped');
  await storage.close();
});
