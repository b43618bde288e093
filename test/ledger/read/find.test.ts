import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRows, readSearch } from '../../../src/ledger/read/find.ts';
import { claimAll, makeBatch, recordOne } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

function search(words: string): Parameters<typeof findRows>[1] {
  const read = readSearch(words, (text) => (Number.isNaN(Date.parse(text)) ? undefined : new Date(text)));
  return 'search' in read ? read.search : assert.fail(read.fault);
}

onEvery(SQL_LEDGERS, (storage) => {
  test('a row is found by key, prompt, task id and error, in all batches', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 12 });
    const [claim, other] = await claimAll(db, made, made.rows.slice(0, 2));
    assert.ok(claim && other);
    await recordOne(db, claim, 'accepted');
    await recordOne(db, other, 'rejected');
    const keys = async (words: string): Promise<string[]> =>
      (await findRows(db, search(`${words} batch:${made.name}`), 20)).map(({ key }) => key);
    assert.deepEqual((await keys('K1')).toSorted(), ['k1', 'k10', 'k11', 'k12'], 'capitals do not matter');
    assert.deepEqual(await keys('k1'), ['k1'], 'a whole key finds its row alone');
    assert.deepEqual((await keys('k1*')).toSorted(), ['k1', 'k10', 'k11', 'k12'], '* stands for any text');
    assert.deepEqual(await keys('k1 state:rejected'), []);
    assert.deepEqual(await keys('第 7'), ['k7']);
    assert.deepEqual(await keys('state:rejected'), ['k2']);
    assert.deepEqual(await keys('100%'), [], 'a sign of LIKE is a character');
    assert.deepEqual(await keys('model:viduq3p-* state:submitted'), ['k1']);
    assert.deepEqual(await keys('after:2999-01-01'), []);
    const { rows } = await db.query<{ taskId: string }>(
      'select task_id as "taskId" from vidbatch.row_state where id = $1',
      [made.rows[0]],
    );
    assert.deepEqual(
      (await findRows(db, search(rows[0]?.taskId ?? ''), 20)).map(({ key }) => key),
      ['k1'],
    );
    await db.query(`update vidbatch.attempt set request_id = 'Req-1' where submission_id = $1`, [
      made.rows[1],
    ]);
    assert.deepEqual(await keys('Req-1'), ['k2'], 'a whole request id');
    await db.query(`update vidbatch.row set row_key = 'shot 7' where id = $1`, [made.rows[6]]);
    assert.deepEqual(await keys('shot 7'), ['shot 7'], 'a whole key with a space');
    assert.deepEqual(await keys('SHOT'), ['shot 7']);
  });
});

test('a qualifier with a wrong value is a fault, and another word with a colon is text', () => {
  assert.deepEqual(
    readSearch('state:nowhere', () => undefined),
    {
      fault:
        'state:nowhere is not one of pending, submitting, submitted, uncertain, rejected, exhausted, invalid, cancelled, abandoned',
    },
  );
  assert.deepEqual(
    readSearch('https://a.example/1 error:"bad gateway" ratio 16:9', () => undefined),
    {
      search: { text: 'https://a.example/1 ratio 16:9', error: 'bad gateway' },
    },
  );
});
