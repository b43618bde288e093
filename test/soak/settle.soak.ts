import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Verdict } from '../../src/results/audit/candidate.ts';
import { distinct, openDoubtful } from '../results/audit/doubt.ts';
import { openStorage } from '../contract/storages.ts';

test('of 500 uncertain rows, half of them accepted, all are settled that a list tells apart, and none wrongly', async (t) => {
  const storage = await openStorage('embedded');
  t.after(() => storage.close());
  const account = await openDoubtful(storage.db, 500);
  t.after(() => account.close());
  const accepted = [...account.truth].filter(([, task]) => task !== undefined).map(([key]) => key);
  const right = (verdicts: ReadonlyMap<string, Verdict>): string[] =>
    [...verdicts].flatMap(([key, verdict]) => {
      if (verdict.kind !== 'settled') return [];
      assert.equal(verdict.task, account.truth.get(key), key);
      return [key];
    });
  assert.equal(accepted.length, 250);
  const told = accepted.filter((key) => distinct(account.rows).has(key));
  assert.deepEqual(right(await account.verdicts(['request_id', 'prompt'])).sort(), told.sort());
  assert.deepEqual(right(await account.verdicts(['request_id'])).sort(), accepted.sort());
  const said = { who: 'ann@desk', reason: 'found in list.csv' };
  const { doubts } = await account.audit([await account.list([])], { accept: said });
  assert.equal(doubts.settled, accepted.length);
  t.diagnostic(`${told.length} told apart by model and length alone, ${doubts.settled} by request`);
});
