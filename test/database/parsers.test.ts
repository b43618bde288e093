import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pool } from 'pg';
import { parsers } from '../../src/database/parsers.ts';
import { servers } from '../servers.ts';
import { assertContract } from './contract.ts';

const { databaseUrl } = await servers();

// The same contract holds for the embedded database and for a guest, in their own tests.
test('a server’s pool gives the values of the contract', async () => {
  const pool = new Pool({ connectionString: databaseUrl, types: parsers, max: 2 });
  await assertContract(pool);
  await pool.end();
});

const INT8_ARRAY: number = 1016;

test('an int8 that is not an exact number is refused, also in an array', () => {
  assert.throws(() => parsers.getTypeParser(20)('9007199254740992'), RangeError);
  assert.throws(() => parsers.getTypeParser(INT8_ARRAY)('{1,9007199254740992}'), RangeError);
});
