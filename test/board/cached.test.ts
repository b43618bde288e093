import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cached } from '../../src/board/cached.ts';
import { until } from '../until.ts';

test('requests that come together share one reading, and each key has its own', async () => {
  const read: string[] = [];
  const ask = cached(
    async (key: string) => `${key} ${read.push(key)}`,
    (key) => key,
  );
  assert.deepEqual(await Promise.all([ask('1d'), ask('1d'), ask('7d')]), ['1d 1', '1d 1', '7d 2']);
});

test('a reading that fails is not kept', async () => {
  let reads = 0;
  const ask = cached(
    (_key: string) => ((reads += 1) === 1 ? Promise.reject(new Error('away')) : Promise.resolve(reads)),
    (key) => key,
  );
  await assert.rejects(ask('1d'), /away/);
  assert.equal(await ask('1d'), 2);
});

test('an answer is read again when its time is over, or when it is to be forgotten', async () => {
  let reads = 0;
  const ask = cached(
    async (_key: number) => (reads += 1),
    (key) => key,
  );
  await ask(1);
  await until(async () => (await ask(1)) > 1);
  const before = await ask(1);
  ask.forget();
  assert.ok((await ask(1)) > before);
});
