import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Database } from '../../../src/database/database.ts';
import { armProbe, openHalts } from '../../../src/ledger/send/provider.ts';
import { AVALANCHE } from '../../../src/ledger/send/decide/limits.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { isUnreached, notSent } from '../../../src/core/outcome.ts';
import {
  claimAll,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  providerOf,
  recordOne,
  resultOf,
  statesOf,
  storedOne,
  tryAlone,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const LIMIT = AVALANCHE.unreachedInARow;
const REFUSED = outcomeOf('not-sent', {
  phase: 'connecting',
  code: 'ECONNREFUSED',
  message: 'refuses connections',
});

async function haltOf(db: Database, { origin }: Made): Promise<string | undefined> {
  const halt = (await openHalts(db)).find((one) => one.origin === origin);
  return halt && `${halt.code}: ${halt.reason}`;
}

/** So many tries of the first row that reach nobody, one after another. */
async function knock(db: Database, made: Made, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    const claimed = await tryAlone(db, made, made.rows[0] ?? 0);
    assert.ok(claimed, `try ${n + 1}`);
    await recordOne(db, claimed, REFUSED, { maxAttempts: 100 });
    await letTimePass(db, made, 64_000);
  }
}

test('a failed connection counts as unreachable, and a row that was held back does not', () => {
  assert.equal(isUnreached(REFUSED), true);
  assert.equal(isUnreached(notSent('STALE_CLAIM', '')), false);
  assert.equal(isUnreached(outcomeOf('not-sent', { phase: 'answered', code: 'model_not_found' })), false);
});

onEvery(SQL_LEDGERS, (storage) => {
  describe('a provider that does not answer', () => {
    test('ten tries in a row halt a provider that has accepted nothing, and no more rows are used up', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 20, proven: false });
      await knock(db, made, LIMIT - 1);
      assert.equal((await providerOf(db, made)).state, 'open');
      await knock(db, made, 1);
      assert.equal((await providerOf(db, made)).state, 'halted');
      assert.equal(
        await haltOf(db, made),
        `NOBODY_ANSWERS: no answer from ${made.origin}: 10 tries in a row did not reach it, the last: refuses connections`,
      );
      assert.deepEqual(new Set(await statesOf(db, made)), new Set(['pending']));
    });

    test('after a restart it is probed with one row, which costs no attempt', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { proven: false });
      await knock(db, made, LIMIT);
      const { spent } = await storedOne(db, made.rows[0] ?? 0);
      await armProbe(db, made.origin);
      const claimed = await tryAlone(db, made, made.rows[0] ?? 0);
      assert.ok(claimed);
      const recorded = await recordOne(db, claimed, REFUSED, { maxAttempts: spent + 1 });
      assert.deepEqual([recorded.state, recorded.halted], ['pending', true]);
      assert.equal((await storedOne(db, made.rows[0] ?? 0)).spent, spent);
    });

    test('one that has accepted rows is tried with one row at a time, less and less often, until it accepts', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 * LIMIT });
      const claims = await claimAll(db, made, made.rows.slice(0, LIMIT));
      await record(
        db,
        claims.map((one) => resultOf(one, REFUSED)),
      );
      const { state, throttled } = await providerOf(db, made);
      assert.deepEqual([state, throttled, await haltOf(db, made)], ['probing', true, undefined]);
      const next = made.rows.slice(LIMIT);
      await letTimePass(db, made, 1000);
      const first = await tryAlone(db, made, next[0] ?? 0);
      assert.ok(first);
      assert.equal(await tryAlone(db, made, next[1] ?? 0), undefined, 'while one knocks');
      const told = await recordOne(db, first, REFUSED, { maxAttempts: 1 });
      assert.deepEqual([told.state, told.halted], ['pending', false], 'it costs no attempt');
      await letTimePass(db, made, 1000);
      assert.equal(await tryAlone(db, made, next[1] ?? 0), undefined, 'the wait has doubled');
      await letTimePass(db, made, 1000);
      const second = await tryAlone(db, made, next[1] ?? 0);
      assert.ok(second);
      await recordOne(db, second, 'accepted');
      assert.equal((await providerOf(db, made)).state, 'open');
      await claimAll(db, made, next.slice(2));
    });

    test('and is halted after a quarter of an hour', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await knock(db, made, LIMIT + 1);
      assert.equal((await providerOf(db, made)).state, 'probing');
      await letTimePass(db, made, AVALANCHE.unreachedMs);
      await knock(db, made, 1);
      assert.match((await haltOf(db, made)) ?? '', /^NOBODY_ANSWERS: .*12 tries in a row/);
    });

    for (const kind of ['accepted', 'rejected', 'throttled', 'uncertain'] as const) {
      test(`an answer breaks the streak: ${kind}`, async () => {
        const { db } = storage();
        const made = await makeBatch(db, { rows: 3 });
        await knock(db, made, LIMIT - 1);
        await recordOne(db, only(await claimAll(db, made, made.rows.slice(1, 2))), kind);
        await letTimePass(db, made, 60_000);
        await knock(db, made, 1);
        assert.equal((await providerOf(db, made)).state, 'open');
      });
    }
  });
});
