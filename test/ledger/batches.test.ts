import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  bindBatches,
  countOpen,
  countPaid,
  countStates,
  findBatch,
  listBatches,
  logEvent,
  rebindBatch,
} from '../../src/ledger/batches.ts';
import { cancel, isPaused, pause, resume } from '../../src/ledger/operator/pause.ts';
import { retry } from '../../src/ledger/operator/retry.ts';
import { readRemainingWork } from '../../src/ledger/send/remaining-work.ts';
import { transaction, type Database } from '../../src/database/database.ts';
import { clockSkewMs, providerStatus } from '../../src/ledger/send/provider.ts';
import { readSpeed } from '../../src/ledger/read/batch-numbers.ts';
import { checkReopening } from '../../src/batch/retry.ts';
import { noCounts } from '../../src/core/states.ts';
import {
  claimAll,
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  recordOne,
  statesOf,
  stored,
  storedOne,
  type Made,
} from '../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../contract/storages.ts';

/** A batch with one row in each of these states, in this order; the rest is pending. */
async function mixed(db: Database): Promise<Made> {
  const made = await makeBatch(db, { rows: 6 });
  const kinds = ['accepted', 'rejected', 'uncertain', 'not-sent'] as const;
  const claims = await claimAll(db, made, made.rows.slice(0, 5));
  for (const [n, kind] of kinds.entries()) {
    const claimed = claims[n];
    assert.ok(claimed);
    await recordOne(db, claimed, kind, { maxAttempts: 1 });
  }
  assert.deepEqual(await statesOf(db, made), [
    'submitted',
    'rejected',
    'uncertain',
    'exhausted',
    'submitting',
    'pending',
  ]);
  return made;
}

onEvery(SQL_LEDGERS, (storage) => {
  test('a batch is found by its name, and listed in the order of creation', async () => {
    const { db } = storage();
    const made = [await makeBatch(db), await makeBatch(db)];
    const names = (await listBatches(db)).map(({ name }) => name);
    assert.deepEqual(
      names.slice(-2),
      made.map(({ name }) => name),
    );
    assert.equal((await findBatch(db, made[0]?.name ?? ''))?.id, made[0]?.id);
    assert.equal(await findBatch(db, 'nobody'), undefined);
  });

  test('rows are counted by state', async () => {
    const { db } = storage();
    const made = await mixed(db);
    assert.deepEqual(await countStates(db, made.id), {
      ...noCounts(),
      submitted: 1,
      rejected: 1,
      uncertain: 1,
      exhausted: 1,
      submitting: 1,
      pending: 1,
    });
    assert.equal(await countOpen(db, [made.id]), 2);
    assert.equal(await countPaid(db, made.id), 3);
  });

  test('the speed is that of the last minute, or of the time since the first accept', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3 });
    assert.deepEqual(await readSpeed(db, made.id), { accepted: 0, seconds: 60 });
    const [claimed] = await claimAll(db, made, made.rows.slice(0, 1));
    await recordOne(db, claimed ?? assert.fail('no claim'), 'accepted');
    assert.deepEqual(await readSpeed(db, made.id), { accepted: 1, seconds: 1 });
    await letTimePass(db, made, 20_000);
    const young = await readSpeed(db, made.id);
    assert.equal(young.accepted, 1);
    assert.ok(young.seconds >= 20 && young.seconds < 60, `${young.seconds} s`);
    await letTimePass(db, made, 41_000);
    assert.deepEqual(await readSpeed(db, made.id), { accepted: 0, seconds: 60 });
  });

  describe('an operator', () => {
    test('pauses and resumes a batch', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const state = async (): Promise<string | undefined> => (await findBatch(db, made.name))?.state;
      await pause(db, made.id);
      await pause(db, made.id);
      assert.equal(await state(), 'paused');
      await resume(db, made.id);
      assert.equal(await state(), 'active');
    });

    test('pauses and resumes everything', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await pause(db, null);
      assert.equal(await isPaused(db), true);
      assert.equal((await findBatch(db, made.name))?.state, 'active', 'and leaves each batch as it is');
      await resume(db, null);
      assert.equal(await isPaused(db), false);
    });

    test('cancels pending rows, and nothing else', async () => {
      const { db } = storage();
      const made = await mixed(db);
      assert.equal(await cancel(db, made.id), 1);
      assert.deepEqual(await statesOf(db, made), [
        'submitted',
        'rejected',
        'uncertain',
        'exhausted',
        'submitting',
        'cancelled',
      ]);
      await pause(db, made.id);
      await resume(db, made.id);
      assert.equal(
        (await findBatch(db, made.name))?.state,
        'cancelled',
        'pause and resume do not bring it back',
      );
    });

    test('retries rows that definitely failed or were cancelled, and no row that may have been paid', async () => {
      const { db } = storage();
      const made = await mixed(db);
      await cancel(db, made.id);
      assert.equal(await retry(db, made.id), 3);
      assert.deepEqual(await statesOf(db, made), [
        'submitted',
        'pending',
        'uncertain',
        'pending',
        'submitting',
        'pending',
      ]);
      assert.equal((await findBatch(db, made.name))?.state, 'active');
      const [, rejected, , exhausted] = await stored(db, made.rows);
      assert.deepEqual([rejected?.error, exhausted?.error, exhausted?.spent], [null, null, 0]);
      await claimAll(db, made, [made.rows[1] ?? 0, made.rows[3] ?? 0, made.rows[5] ?? 0]);
    });

    test('retries only the named states, and never a row that may have been paid', async () => {
      const { db } = storage();
      const made = await mixed(db);
      assert.equal(await retry(db, made.id, { states: ['exhausted', 'uncertain', 'submitted'] }), 1);
      assert.equal((await storedOne(db, made.rows[3] ?? 0)).state, 'pending');
      assert.equal((await storedOne(db, made.rows[2] ?? 0)).state, 'uncertain');
    });

    test('retries only the named rows of a cancelled batch', async () => {
      const { db } = storage();
      const made = await mixed(db);
      await cancel(db, made.id);
      const id = made.rows[5] ?? 0;
      assert.equal(await retry(db, made.id, { keys: ['no such row'] }), 0);
      assert.equal((await findBatch(db, made.name))?.state, 'cancelled', 'for nothing, it stays as it is');
      // Back from the provider unsent, as neither it nor the cancellation saw the other.
      const leftOver = made.rows[1] ?? 0;
      await db.query(`update vidbatch.row_state set previous = state, state = 'pending' where id = $1`, [
        leftOver,
      ]);
      const chosen = { keys: ['k6'] };
      await assert.rejects(
        transaction(db, (session) => checkReopening(session, made, chosen)),
        /1 of its rows is still in flight: .+ nothing was changed/,
      );
      await transaction(db, (session) => checkReopening(session, made, {}));
      const { rows } = await db.query<{ attemptId: string }>(
        `select attempt_id as "attemptId" from vidbatch.submission where batch_id = $1 and state = 'submitting'`,
        [made.id],
      );
      await recordOne(db, only(rows), 'rejected');
      await checkReopening(db, made, chosen);
      assert.equal(await retry(db, made.id, chosen), 1);
      assert.equal((await findBatch(db, made.name))?.state, 'active');
      assert.equal((await storedOne(db, id)).state, 'pending');
      assert.equal((await storedOne(db, leftOver)).state, 'cancelled');
    });

    test('does not send a retried row before its own time', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await db.query(`update vidbatch.row_state set not_before = '2100-01-01Z' where batch_id = $1`, [
        made.id,
      ]);
      await cancel(db, made.id);
      await retry(db, made.id);
      const { state, wait_ms } = await storedOne(db, made.rows[0] ?? 0);
      assert.deepEqual([state, (wait_ms ?? 0) > 86_400_000], ['pending', true]);
    });

    test('writes to the event log', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await logEvent(db, 'pause', 'because', made.id);
      await logEvent(db, 'resume', 'everything');
      const { rows } = await db.query(
        'select event, detail, batch_id from vidbatch.event_log order by id desc limit 2',
      );
      assert.deepEqual(rows, [
        { event: 'resume', detail: 'everything', batch_id: null },
        { event: 'pause', detail: 'because', batch_id: made.id },
      ]);
    });
  });

  describe('a provider', () => {
    test('is bound to batches without a provider, and not to other batches', async () => {
      const { db } = storage();
      const [free, taken] = [await makeBatch(db), await makeBatch(db)];
      await db.query('update vidbatch.batch set origin = null where id = $1', [free.id]);
      await bindBatches(db, taken.origin);
      assert.equal((await findBatch(db, free.name))?.origin, taken.origin);
      const other = await makeBatch(db);
      await bindBatches(db, taken.origin);
      assert.equal((await findBatch(db, other.name))?.origin, other.origin);
    });

    test('must accept a canary again for a batch that is rebound to it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const other = await makeBatch(db);
      await rebindBatch(db, made.id, other.origin);
      const { rows } = await db.query('select origin, proven, canary from vidbatch.batch where id = $1', [
        made.id,
      ]);
      assert.deepEqual(rows, [{ origin: other.origin, proven: false, canary: null }]);
    });

    test('says for how long it throttles', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.deepEqual(await providerStatus(db, made.origin), {
        origin: made.origin,
        state: 'open',
        throttledMs: 0,
        unreached: 0,
      });
      await recordOne(db, await claimFirst(db, made), 'throttled', { waitMs: 50_000 });
      const { throttledMs } = (await providerStatus(db, made.origin)) ?? { throttledMs: 0, unreached: 0 };
      assert.ok(throttledMs > 20_000 && throttledMs <= 50_000);
      assert.equal(await providerStatus(db, 'https://nobody.example'), undefined);
    });

    test('on the clock of this machine has no noticeable skew', async () => {
      const { db } = storage();
      assert.ok(Math.abs(await clockSkewMs(db)) < 1000);
    });
  });

  describe('what is left to do', () => {
    const left = (made: Made): ReturnType<typeof readRemainingWork> =>
      readRemainingWork(storage().db, made.origin, [made.id]);

    test('nothing, once every row is settled', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.equal(await left(made), 'work');
      const claimed = await claimFirst(db, made);
      assert.equal(await left(made), 'work', 'while one is in flight');
      await recordOne(db, claimed, 'rejected');
      assert.equal(await left(made), 'nothing');
    });

    test('held, while an operator has paused it', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await pause(db, made.id);
      assert.equal(await left(made), 'held');
      await resume(db, made.id);
      await pause(db, null);
      assert.equal(await left(made), 'held');
      await resume(db, null);
      assert.equal(await left(made), 'work');
    });

    test('halted, once nothing is in flight', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first, second] = await claimAll(db, made, made.rows);
      assert.ok(first && second);
      await recordOne(db, first, 'halted');
      assert.equal(await left(made), 'work');
      await recordOne(db, second, 'rejected');
      assert.equal(await left(made), 'halted');
    });

    test('of all batches of a provider when no batch is named', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const other = await makeBatch(db, { origin: made.origin });
      await recordOne(db, await claimFirst(db, made), 'rejected');
      assert.equal(await readRemainingWork(db, made.origin, null), 'work');
      await recordOne(db, only(await claimAll(db, other, other.rows)), 'rejected');
      assert.equal(await readRemainingWork(db, made.origin, null), 'nothing');
    });
  });
});
