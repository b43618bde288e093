import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../../src/database/database.ts';
import { findBatch, type Batch } from '../../../src/ledger/batches.ts';
import {
  findUnusedModels,
  pauseModelsBy,
  readPausedModels,
  resumeModelsBy,
} from '../../../src/ledger/operator/pause-model.ts';
import { readBlocked, readShutGates } from '../../../src/ledger/send/blocked.ts';
import { claim, claimAfter, claimLocked } from '../../../src/ledger/send/claim.ts';
import { readyBatches } from '../../../src/ledger/send/ready.ts';
import { readRemainingWork } from '../../../src/ledger/send/remaining-work.ts';
import { readCountedTrouble } from '../../../src/ledger/read/trouble.ts';
import { readGates } from '../../../src/operate/gates.ts';
import { makeBatch, scopeOf, wishFor, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const SLOW = 'viduq3p-1080p';
const OTHER = 'viduq3p-720p';
const pausedSlow = { models: [SLOW], batch: undefined };

onEvery(SQL_LEDGERS, (storage) => {
  /** A batch with the models in turn: rows 1, 3 … of one, and rows 2, 4 … of the other. */
  async function twoModels(db: Database, options: Parameters<typeof makeBatch>[1] = {}): Promise<Made> {
    const made = await makeBatch(db, { rows: 4, ...options });
    await db.query('update vidbatch.row_state set model = $2 where id = any($1::bigint[])', [
      made.rows.filter((_, n) => n % 2 === 1),
      SLOW,
    ]);
    return made;
  }

  const batchOf = async (db: Database, { name }: Made): Promise<Batch> =>
    (await findBatch(db, name)) as Batch;

  const others = ({ rows }: Made): number[] => rows.filter((_, n) => n % 2 === 0);

  test('no row of a paused model is claimed after the pause, and rows of other models are', async () => {
    const { db } = storage();
    const made = await twoModels(db);
    await pauseModelsBy(db, 'anna', pausedSlow);
    try {
      const claims = await claim(db, scopeOf(made), wishFor(made.id, 10));
      assert.deepEqual(
        claims.map((one) => one.submissionId).sort((a, b) => a - b),
        others(made),
      );
      assert.deepEqual(await claim(db, scopeOf(made), wishFor(made.id, 10)), []);
      assert.equal((await readBlocked(db, scopeOf(made), made.id)).blocked.reason, 'paused');
    } finally {
      assert.deepEqual(await resumeModelsBy(db, 'anna', pausedSlow), [SLOW]);
    }
    assert.equal((await claim(db, scopeOf(made), wishFor(made.id, 10))).length, 2);
  });

  test('the claims with a place, a budget, a canary or a probe keep the pause, too', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2, model: SLOW });
    const place = { model: SLOW, priority: 0, notBefore: '-infinity', submissionId: 0 };
    await pauseModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.deepEqual(await claimAfter(db, scopeOf(made), wishFor(made.id, 1), place), []);
    assert.deepEqual((await claimLocked(db, scopeOf(made), wishFor(made.id, 1))).claims, []);
    await resumeModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.equal((await claimAfter(db, scopeOf(made), wishFor(made.id, 1), place)).length, 1);

    const priced = await twoModels(db, { price: 1, budget: 100, proven: false });
    await pauseModelsBy(db, 'anna', { models: [OTHER], batch: priced });
    const { claims } = await claimLocked(db, scopeOf(priced), wishFor(priced.id, 1));
    assert.deepEqual(
      claims.map((one) => one.submissionId),
      [priced.rows[1]],
    );
  });

  test('the feeder feeds no batch in which only rows of a paused model wait', async () => {
    const { db } = storage();
    const made = await twoModels(db);
    const scope = { origin: made.origin, batches: null };
    const ready = async (): Promise<number> =>
      (await readyBatches(db, scope, { most: 10, rows: 10 }))[0]?.rows ?? 0;
    assert.equal(await ready(), 4);
    await pauseModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.equal(await ready(), 2);
    await pauseModelsBy(db, 'anna', { models: [OTHER], batch: made });
    assert.equal(await ready(), 0);
  });

  test('a pause in one batch leaves the other batches alone, and each of two pauses is resumed by itself', async () => {
    const { db } = storage();
    const [made, free] = [await twoModels(db), await twoModels(db)];
    const inBatch = { models: [SLOW], batch: made };
    await pauseModelsBy(db, 'anna', inBatch);
    assert.deepEqual(await readShutGates(db, made.id), ['model-paused']);
    assert.deepEqual(await readShutGates(db, free.id), []);
    await pauseModelsBy(db, 'anna', pausedSlow);
    assert.deepEqual(await resumeModelsBy(db, 'anna', inBatch), [SLOW]);
    assert.deepEqual(await readShutGates(db, made.id), ['model-paused']);
    assert.deepEqual(await resumeModelsBy(db, 'anna', pausedSlow), [SLOW]);
    assert.deepEqual(await resumeModelsBy(db, 'anna', pausedSlow), [], 'it is not paused any more');
    assert.deepEqual(await readShutGates(db, made.id), []);
  });

  test('only batches with waiting rows of a paused model say so, with who, when and why', async () => {
    const { db } = storage();
    const made = await twoModels(db);
    await pauseModelsBy(db, 'anna', { models: [SLOW, 'viduq3p-540p'], batch: made }, 'faces: blurred');
    const [told, ...more] = await readPausedModels(db, made.id);
    assert.deepEqual(more, [], 'no row has the second model');
    assert.ok(told?.at instanceof Date);
    assert.deepEqual(
      { ...told, at: null },
      { model: SLOW, inBatch: true, rows: 2, who: 'anna', why: 'faces: blurred', at: null },
    );
    const [gate] = await readGates(db, await batchOf(db, made));
    assert.equal(gate?.model, SLOW);
    assert.match(
      gate.reason,
      /^model viduq3p-1080p is paused in this batch, and 2 rows wait for it; `vidbatch resume batch-\S+ --model viduq3p-1080p` continues \(anna, \S+Z: faces: blurred\)$/,
    );
    await claim(db, scopeOf(made), wishFor(made.id, 10));
    await db.query(
      `update vidbatch.row_state set previous = state, state = 'cancelled' where batch_id = $1 and state = 'pending'`,
      [made.id],
    );
    assert.deepEqual(await readShutGates(db, made.id), [], 'no row waits for it any more');
  });

  test('a batch has work until only rows of paused models are left; then an operator holds it', async () => {
    const { db } = storage();
    const made = await twoModels(db);
    const left = (): ReturnType<typeof readRemainingWork> => readRemainingWork(db, made.origin, [made.id]);
    await pauseModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.equal(await left(), 'work');
    await db.query(
      `update vidbatch.row_state set previous = state, state = 'cancelled' where id = any($1::bigint[])`,
      [others(made)],
    );
    assert.equal(await left(), 'held');
    await resumeModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.equal(await left(), 'work');
  });

  test('a batch whose budget pays only for rows of a paused model is spent, and says so', async () => {
    const { db } = storage();
    const made = await twoModels(db, { price: 5, budget: 6 });
    const left = (): ReturnType<typeof readRemainingWork> => readRemainingWork(db, made.origin, [made.id]);
    const budgetGates = async (): Promise<string[]> =>
      (await readGates(db, await batchOf(db, made))).flatMap(({ gate, reason }) =>
        gate === 'budget' ? [reason] : [],
      );
    await db.query('update vidbatch.row_state set price = 9 where id = any($1::bigint[])', [others(made)]);
    assert.equal(await left(), 'work');
    await pauseModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.equal(await left(), 'spent');
    assert.match(
      (await budgetGates()).join('\n'),
      /^no remaining row of a model that is not paused fits the budget of 6\.00 CNY: [^\n]+$/,
    );
    await pauseModelsBy(db, 'anna', { models: [OTHER], batch: made });
    assert.deepEqual([await left(), await budgetGates()], ['held', []]);
    await resumeModelsBy(db, 'anna', { models: [SLOW, OTHER], batch: made });
    assert.deepEqual([await left(), await budgetGates()], ['work', []]);
  });

  test('rows of a paused model do not count as rows without a worker', async () => {
    const { db } = storage();
    await db.query('truncate vidbatch.batch cascade');
    const made = await twoModels(db);
    const unfed = async (): Promise<number[]> => (await readCountedTrouble(db)).unfed.map(({ rows }) => rows);
    assert.deepEqual(await unfed(), [4]);
    await pauseModelsBy(db, 'anna', { models: [SLOW], batch: made });
    assert.deepEqual(await unfed(), [2]);
  });

  test('a model without any row is known to be unused', async () => {
    const { db } = storage();
    await twoModels(db);
    assert.deepEqual(await findUnusedModels(db, [SLOW, 'viduq3p-72p']), ['viduq3p-72p']);
  });
});
