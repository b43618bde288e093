import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pool } from 'pg';
import { parsers } from '../../src/ledger/parsers.ts';
import { assertContract } from './contract.ts';

// The same contract holds for the embedded database and for a guest, in their own tests.
test('a server’s pool gives the values of the contract', async (t) => {
  const given = process.env['DATABASE_URL'];
  const pool = new Pool({
    connectionString: given ?? 'postgres://postgres@127.0.0.1:5432/test',
    types: parsers,
    max: 2,
  });
  try {
    await pool.query('select 1');
  } catch (error) {
    await pool.end();
    if (given !== undefined) throw error;
    t.diagnostic('there is no server on 127.0.0.1:5432 and no DATABASE_URL');
    return;
  }
  await assertContract(pool);
  await pool.end();
});

const INT8_ARRAY: number = 1016;

test('an int8 that is no exact number is refused, in an array too', () => {
  assert.throws(() => parsers.getTypeParser(20)('9007199254740992'), RangeError);
  assert.throws(() => parsers.getTypeParser(INT8_ARRAY)('{1,9007199254740992}'), RangeError);
});
