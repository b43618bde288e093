import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claim } from '../../../src/ledger/send/claim.ts';
import { armProbe } from '../../../src/ledger/send/provider.ts';
import { readAttempts } from '../../../src/ledger/read/rows.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import {
  claimAll,
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  providerOf,
  recordOne,
  scopeOf,
  statesOf,
  storedOne,
  tryAlone,
  wishFor,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

onEvery(SQL_LEDGERS, (storage) => {
  test('past its deadline, by the database’s clock alone, a row in flight is uncertain', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4 });
    const [first = 0, second = 0] = made.rows;
    const dead = only(await claimAll(db, made, [first]));
    await letTimePass(db, made, 60_001);
    await claimAll(db, made, [second]);
    assert.equal(await sweep(db), 1);
    assert.deepEqual(await statesOf(db, made), ['uncertain', 'submitting', 'pending', 'pending']);
    const row = await storedOne(db, first);
    assert.deepEqual([row.error_code, row.left_ms], ['NO_ANSWER_RECORDED', null]);
    const attempt = only(await readAttempts(db, first));
    assert.deepEqual([attempt.id, attempt.outcome, attempt.sweptAt === null], [dead.attemptId, null, false]);
    assert.equal(await sweep(db), 0, 'and nothing is left to judge');
  });

  test('a late answer is recorded after it', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claimed = await claimFirst(db, made);
    await letTimePass(db, made, 60_001);
    await sweep(db);
    await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'late' }));
    const { state, task_id, error_code } = await storedOne(db, claimed.submissionId);
    assert.deepEqual([state, task_id, error_code], ['submitted', 'late', null]);
  });

  test('all of them, also before their deadline, when their worker is known to be dead', async () => {
    const { db } = storage();
    await sweep(db, { all: true });
    const made = await makeBatch(db, { rows: 3 });
    await claim(db, scopeOf(made, { lifetimeMs: 3_600_000 }), wishFor(made.id, 1));
    await claim(db, scopeOf(made), wishFor(made.id, 1));
    assert.equal(await sweep(db, { all: true }), 2);
    assert.deepEqual(await statesOf(db, made), ['uncertain', 'uncertain', 'pending']);
  });

  test('a dead canary frees its slot, and does not prove its batch', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3, proven: false });
    const [first = 0, second = 0, third = 0] = made.rows;
    assert.ok(await tryAlone(db, made, first));
    assert.equal(await sweep(db), 0);
    assert.equal(await tryAlone(db, made, second), undefined, 'while it is alive it keeps it');
    await letTimePass(db, made, 60_001);
    await sweep(db);
    assert.ok(await tryAlone(db, made, second));
    assert.equal(await tryAlone(db, made, third), undefined, 'and the next one holds it');
  });

  test('a dead probe of a halted provider frees its slot, and does not lift the halt', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3 });
    const [first = 0, second = 0, third = 0] = made.rows;
    await recordOne(db, only(await claimAll(db, made, [first])), 'halted');
    await armProbe(db, made.origin);
    assert.ok(await tryAlone(db, made, second));
    await letTimePass(db, made, 60_001);
    await sweep(db);
    const { state, probe } = await providerOf(db, made);
    assert.deepEqual([state, probe], ['probing', null]);
    assert.ok(await tryAlone(db, made, third));
  });

  test('a row that went back to pending just when its batch was cancelled is cancelled, too', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2 });
    // What two statements that do not see each other leave behind.
    await db.query(`update vidbatch.batch set state = 'cancelled' where id = $1`, [made.id]);
    await sweep(db);
    assert.deepEqual(await statesOf(db, made), ['cancelled', 'cancelled']);
  });
});
