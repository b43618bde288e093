import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queryable, QueryResult } from '../../../src/database/database.ts';
import { cachedQueries } from '../../../src/ledger/read/query.ts';
import { only } from '../../contract/rows.ts';
import { onEvery } from '../../contract/storages.ts';

onEvery(['embedded'], (storage) => {
  /** A look, and how many questions have come to the ledger since. */
  function look(): { db: Queryable; asked: () => number } {
    let asked = 0;
    const db = cachedQueries({
      query<Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
        asked += 1;
        return storage().db.query<Row>(text, params);
      },
    });
    return { db, asked: () => asked };
  }

  const said = async (db: Queryable, word: string): Promise<string> =>
    only((await db.query<{ word: string }>('select $1::text as word', [word])).rows).word;

  test('a query runs once, also for several callers at a time, and each query has its own answer', async () => {
    const { db, asked } = look();
    assert.deepEqual(await Promise.all(['a', 'b', 'a'].map((word) => said(db, word))), ['a', 'b', 'a']);
    assert.equal(await said(db, 'b'), 'b');
    assert.equal(asked(), 2);
    assert.equal(await said(look().db, 'b'), 'b');
  });

  test('a frequent query is remembered among thousands of others, and those are not', async () => {
    const { db, asked } = look();
    for (let batch = 0; batch < 250; batch += 1) {
      await said(db, 'of all');
      await said(db, `of ${batch}`);
    }
    assert.equal(asked(), 251);
    await said(db, 'of 249');
    assert.equal(asked(), 251);
    await said(db, 'of 0');
    assert.equal(asked(), 252);
  });
});
