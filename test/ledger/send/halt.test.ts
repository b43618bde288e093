import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Database } from '../../../src/database/database.ts';
import { armProbe, openHalts, type Halt } from '../../../src/ledger/send/provider.ts';
import { AVALANCHE } from '../../../src/ledger/send/decide/limits.ts';
import { record } from '../../../src/ledger/send/record.ts';
import {
  claimAll,
  claimFirst,
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

async function haltsOf(db: Database, { origin }: Made): Promise<Halt[]> {
  return (await openHalts(db)).filter((halt) => halt.origin === origin);
}

/** Tries the halted provider out with this row, claimed in the new epoch. */
async function probe(db: Database, made: Made, id: number) {
  await armProbe(db, made.origin);
  const claimed = await tryAlone(db, made, id);
  assert.ok(claimed);
  return claimed;
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('a halt', () => {
    test('is stored with its reason', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const outcome = outcomeOf('halted', {
        code: 'insufficient_user_quota',
        message: 'no balance',
        httpStatus: 403,
      });
      assert.equal((await recordOne(db, await claimFirst(db, made), outcome)).halted, true);
      const { raisedAt, ...halt } = only(await haltsOf(db, made));
      assert.deepEqual(halt, {
        origin: made.origin,
        code: 'insufficient_user_quota',
        reason: 'no balance',
        httpStatus: 403,
      });
      assert.ok(raisedAt instanceof Date);
    });

    test('is one halt, even if many rows caused it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      const [first, ...rest] = await claimAll(db, made, made.rows);
      assert.ok(first);
      await recordOne(db, first, 'halted');
      await record(
        db,
        rest.map((claimed) => resultOf(claimed, 'halted')),
      );
      assert.equal((await haltsOf(db, made)).length, 1);
      assert.deepEqual(new Set(await statesOf(db, made)), new Set(['pending']), 'no row is lost to it');
      assert.equal((await providerOf(db, made)).state, 'halted');
    });

    test('is lifted when its probe is accepted', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first = 0] = made.rows;
      await recordOne(db, await claimFirst(db, made), 'halted');
      const claimed = await probe(db, made, first);
      assert.equal((await haltsOf(db, made)).length, 1, 'not by trying');
      await recordOne(db, claimed, 'accepted');
      assert.deepEqual(await haltsOf(db, made), []);
      assert.equal((await providerOf(db, made)).state, 'open');
    });

    for (const kind of ['not-sent', 'throttled', 'rejected', 'uncertain'] as const) {
      test(`is not lifted by a probe that was ${kind}; the next row may be the probe`, async () => {
        const { db } = storage();
        const made = await makeBatch(db, { rows: 3 });
        const [first = 0, second = 0] = made.rows;
        await recordOne(db, await claimFirst(db, made), 'halted');
        await recordOne(db, await probe(db, made, first), kind);
        await letTimePass(db, made, 120_000);
        const { state, probe: slot } = await providerOf(db, made);
        assert.deepEqual([state, slot], ['probing', null]);
        assert.ok(await tryAlone(db, made, second));
        assert.equal((await haltsOf(db, made)).length, 1);
      });
    }

    test('is raised again when the probe is refused', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first = 0, second = 0] = made.rows;
      await recordOne(db, await claimFirst(db, made), 'halted');
      const recorded = await recordOne(db, await probe(db, made, second), 'halted');
      assert.deepEqual([recorded.state, recorded.halted], ['pending', true]);
      assert.equal((await providerOf(db, made)).state, 'halted');
      assert.deepEqual(await tryAlone(db, made, first), undefined);
    });

    test('is not raised by an answer to an attempt of an earlier epoch', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4 });
      const [first, late, later] = await claimAll(db, made, made.rows.slice(0, 3));
      assert.ok(first && late && later);
      await recordOne(db, first, 'halted');
      const trial = await probe(db, made, made.rows[3] ?? 0);
      assert.equal((await recordOne(db, late, 'halted')).halted, false);
      assert.equal((await providerOf(db, made)).state, 'probing');
      await recordOne(db, trial, 'accepted');
      assert.equal((await recordOne(db, later, 'halted')).halted, false);
      assert.equal((await providerOf(db, made)).state, 'open');
      assert.equal((await storedOne(db, late.submissionId)).state, 'pending');
    });

    test('is not lifted by a task id that was under way before it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const [first, late] = await claimAll(db, made, made.rows.slice(0, 2));
      assert.ok(first && late);
      await recordOne(db, first, 'halted');
      assert.equal((await recordOne(db, late, 'accepted')).state, 'submitted');
      assert.equal((await providerOf(db, made)).state, 'halted');
      assert.equal((await haltsOf(db, made)).length, 1);
    });
  });

  describe('a row that halts twice', () => {
    test('while others were accepted in between is rejected, and halts nothing', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const [bad = 0, good = 0, other = 0] = made.rows;
      await recordOne(db, await claimFirst(db, made), 'halted');
      await recordOne(db, await probe(db, made, good), 'accepted');
      const again = only(await claimAll(db, made, [bad]));
      const recorded = await recordOne(db, again, outcomeOf('halted', { message: 'no right to this model' }));
      assert.deepEqual([recorded.state, recorded.halted], ['rejected', false]);
      assert.equal((await storedOne(db, bad)).error, 'no right to this model');
      assert.equal((await providerOf(db, made)).state, 'open');
      await claimAll(db, made, [other]);
    });

    test('with nothing accepted in between stays pending', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await recordOne(db, await claimFirst(db, made), 'halted');
      const recorded = await recordOne(db, await probe(db, made, made.rows[0] ?? 0), 'halted');
      assert.deepEqual([recorded.state, recorded.halted], ['pending', true]);
    });

    test('stays pending too when only what was under way at its first halt was accepted since', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first, straggler] = await claimAll(db, made, made.rows);
      assert.ok(first && straggler);
      await recordOne(db, first, 'halted');
      await recordOne(db, straggler, 'accepted');
      const recorded = await recordOne(db, await probe(db, made, first.submissionId), 'halted');
      assert.deepEqual([recorded.state, recorded.halted], ['pending', true], 'the balance is still gone');
    });
  });

  describe('the guard against many uncertain rows', () => {
    const LIMIT = AVALANCHE.uncertainInARow;

    test('halts after five uncertain answers in a row', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: LIMIT });
      const claims = await claimAll(db, made, made.rows);
      const halted = [];
      for (const claimed of claims) halted.push((await recordOne(db, claimed, 'uncertain')).halted);
      assert.deepEqual(halted, [false, false, false, false, true]);
      const halt = only(await haltsOf(db, made));
      assert.deepEqual([halt.code, halt.reason.includes('was uncertain')], ['UNCERTAIN_IN_A_ROW', true]);
      assert.equal((await providerOf(db, made)).uncertain_streak, 0, 'and counts anew');
    });

    test('halts when they come in one group', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: LIMIT });
      const claims = await claimAll(db, made, made.rows);
      const recorded = await record(
        db,
        claims.map((claimed) => resultOf(claimed, 'uncertain')),
      );
      assert.ok(recorded.every((one) => one.halted));
    });

    test('counts from zero after an accept', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 * LIMIT - 1 });
      const claims = await claimAll(db, made, made.rows);
      for (const [n, claimed] of claims.entries()) {
        await recordOne(db, claimed, n === LIMIT - 1 ? 'accepted' : 'uncertain');
      }
      const { state, uncertain_streak } = await providerOf(db, made);
      assert.deepEqual([state, uncertain_streak], ['open', LIMIT - 1]);
    });

    test('is not moved by other answers in between', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 * LIMIT });
      const claims = await claimAll(db, made, made.rows);
      for (const [n, claimed] of claims.entries()) {
        await recordOne(db, claimed, n % 2 === 0 ? 'rejected' : 'uncertain');
      }
      assert.equal((await providerOf(db, made)).state, 'halted');
    });

    test('does not count answers to attempts of an earlier epoch', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: LIMIT + 2 });
      const [first, ...old] = await claimAll(db, made, made.rows.slice(0, LIMIT + 1));
      assert.ok(first);
      await recordOne(db, first, 'halted');
      const trial = await probe(db, made, made.rows.at(-1) ?? 0);
      for (const claimed of old) await recordOne(db, claimed, 'uncertain');
      const { state, probe: slot } = await providerOf(db, made);
      assert.deepEqual([state, slot], ['probing', trial.attemptId]);
    });

    test('halts after 15 minutes of throttling without an accept', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const throttle = async (): Promise<boolean> =>
        (await recordOne(db, await claimFirst(db, made), 'throttled')).halted;
      assert.equal(await throttle(), false);
      await letTimePass(db, made, AVALANCHE.throttledMs - 60_000);
      assert.equal(await throttle(), false);
      await letTimePass(db, made, 60_000);
      assert.equal(await throttle(), true);
      assert.equal(only(await haltsOf(db, made)).code, 'THROTTLED_TOO_LONG');
      assert.deepEqual(await statesOf(db, made), ['pending']);
    });

    test('counts throttling from zero after an accept', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first = 0, second = 0] = made.rows;
      await recordOne(db, only(await claimAll(db, made, [first])), 'throttled');
      await letTimePass(db, made, AVALANCHE.throttledMs - 1000);
      await recordOne(db, only(await claimAll(db, made, [second])), 'accepted');
      await letTimePass(db, made, 2000);
      assert.equal((await recordOne(db, only(await claimAll(db, made, [first])), 'throttled')).halted, false);
    });
  });
});
