import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAmount, type Amount } from '../../../src/core/money/money.ts';
import type { Prices } from '../../../src/core/money/prices.ts';
import { readBudgetStatus } from '../../../src/ledger/money/budget.ts';
import { transaction, type Database, type Queryable } from '../../../src/database/database.ts';
import { recordPolls } from '../../../src/ledger/tasks/record-polls.ts';
import {
  findByTask,
  findSubmissions,
  readAttempts,
  readEventLog,
  type SubmissionView,
} from '../../../src/ledger/read/rows.ts';
import type { TaskStatus } from '../../../src/core/task-status.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { countRemade, readRemakable, remakeFailed } from '../../../src/ledger/operator/retry-failed-tasks.ts';
import { inspectLedger } from '../../../src/operate/verify/verify.ts';
import {
  claimAll,
  countSurplus,
  makeBatch,
  only,
  outcomeOf,
  resultOf,
  tryAlone,
  editRow,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { until } from '../../until.ts';

const NO_PRICES: Prices = new Map();
const amount = (text: string): Amount => parseAmount(text) ?? assert.fail(text);

/** What a poller writes when the provider says that the row's task has failed. */
async function fails(
  db: Queryable,
  { origin }: Made,
  id: number,
  reason = 'InternalServiceFailure',
): Promise<void> {
  await db.query(
    `insert into vidbatch.task (submission_id, task_id, batch_id, origin, surplus, accepted_at, status, fail_reason,
                                finished_at, polls, asked_at, answered_at)
     select id, task_id, batch_id, $2, false, submitted_at, 'failed', $3, now(), 1, now(), now()
       from vidbatch.submission where id = $1`,
    [id, origin, reason],
  );
  await db.query(
    `update vidbatch.row_state set provider_status = 'failed', polled_at = now(), error_code = 'TASK_FAILED', error = $2
      where id = $1`,
    [id, reason],
  );
}

/** The answer of the provider when it is asked for a task that had failed. */
async function says(
  db: Queryable,
  { origin }: Made,
  id: number,
  taskId: string,
  status: TaskStatus,
): Promise<void> {
  await db.query(
    `update vidbatch.task set asker = 'test', lease_until = now() + interval '1 minute' where task_id = $1`,
    [taskId],
  );
  const task = {
    submissionId: id,
    taskId,
    poll: 1,
    status: 'failed',
    ageMs: 0,
    misses: 0,
    missedMs: 0,
    profileId: 1,
    queryUrl: null,
  } as const;
  const verdict = { kind: 'otherwise', status, body: '{}', news: true } as const;
  const [recorded] = await recordPolls(db, origin, [
    { task: { ...task, failures: 0, laterStatus: null, level: 0, waitMs: 0 }, verdict },
  ]);
  assert.ok(recorded);
}

async function findEach(db: Queryable, { id }: Made, ...keys: string[]): Promise<SubmissionView[]> {
  return Promise.all(keys.map(async (key) => only(await findSubmissions(db, id, key))));
}

async function accepted(db: Database, made: Made, id: number, taskId: string): Promise<number> {
  const [claim] = await claimAll(db, made, [id]);
  assert.ok(claim !== undefined);
  await record(db, [resultOf(claim, outcomeOf('accepted', { taskId }))]);
  return claim.refusals;
}

async function remake(
  db: Queryable,
  { id }: Made,
  keys: string[] | null = null,
  prices = NO_PRICES,
): Promise<number> {
  const { asOf } = await readRemakable(db, id, keys);
  return remakeFailed(db, id, { keys, asOf, who: 'anna', prices });
}

async function faults(db: Database, { id }: Made): Promise<string[]> {
  const found: string[] = [];
  for await (const look of inspectLedger(db, id))
    found.push(...look.found.map((one) => `${one.invariant}: ${one.what}`));
  return found.filter((one) => !one.startsWith('content-hash'));
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('a task that failed at the provider', () => {
    test('is made again once, and its first id and its status stay', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const [first = 0, second = 0] = made.rows;
      const before = await accepted(db, made, first, 'task_1');
      await accepted(db, made, second, 'task_2');
      await fails(db, made, first);
      const { groups, reasons } = await readRemakable(db, made.id, null);
      assert.deepEqual(
        groups.map(({ toSend }) => toSend),
        [1],
      );
      assert.deepEqual(reasons, [{ reason: 'InternalServiceFailure', tasks: 1 }]);
      assert.equal(await remake(db, made), 1);
      assert.equal(await remake(db, made), 0, 'the same failed task is made again once');
      const waiting = only(await findSubmissions(db, made.id, 'k1'));
      assert.deepEqual([waiting.state, waiting.taskId, waiting.providerStatus], ['pending', null, null]);
      assert.deepEqual(await faults(db, made), []);
      const key = await accepted(db, made, first, 'task_3');
      assert.notEqual(key, before, 'under the old key a provider would answer with the failed task');
      const row = only(await findSubmissions(db, made.id, 'k1'));
      assert.deepEqual([row.state, row.taskId, row.earlierTaskIds], ['submitted', 'task_3', ['task_1']]);
      const attempts = await readAttempts(db, first);
      assert.deepEqual(
        attempts.map(({ taskId, surplus, remadeAt }) => [taskId, surplus, remadeAt !== null]),
        [
          ['task_1', false, true],
          ['task_3', false, false],
        ],
      );
      assert.equal(await countSurplus(db, made.id), 0);
      assert.equal(await countRemade(db, made.id), 1);
      const told = only(await readEventLog(db, first));
      assert.deepEqual([told.event, told.who], ['retry --failed-tasks', 'anna']);
      assert.match(told.detail, /^task task_1 failed: InternalServiceFailure/);
      for (const task of ['task_1', 'task_3']) {
        assert.equal(only(await findByTask(db, made.id, task)).key, 'k1');
      }
      assert.deepEqual(await faults(db, made), []);
    });

    test('is made again once when two people ask for it at the same time', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const [id = 0] = made.rows;
      await accepted(db, made, id, 'task_4');
      await fails(db, made, id);
      const { asOf } = await readRemakable(db, made.id, null);
      const say = (): Promise<number> =>
        remakeFailed(db, made.id, { keys: null, asOf, who: 'anna', prices: NO_PRICES });
      const counts = await Promise.all([say(), say(), say()]);
      assert.deepEqual(counts.toSorted(), [0, 0, 1]);
    });

    test('that failed after a person had looked is not made again, nor a task with another status now', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first = 0, second = 0] = made.rows;
      await accepted(db, made, first, 'task_5');
      await accepted(db, made, second, 'task_6');
      await fails(db, made, first);
      const { asOf } = await readRemakable(db, made.id, null);
      await fails(db, made, second);
      await db.query(
        `update vidbatch.task set later_status = 'completed', later_at = now() where submission_id = $1`,
        [first],
      );
      assert.equal(await remakeFailed(db, made.id, { keys: null, asOf, who: 'anna', prices: NO_PRICES }), 0);
      const { groups, otherwise } = await readRemakable(db, made.id, null);
      assert.deepEqual([groups.map(({ toSend }) => toSend), otherwise], [[1], 1]);
      assert.equal(await remake(db, made, ['k1']), 0);
      assert.equal(await remake(db, made, ['k2']), 1);
    });

    test('is left alone while a second task for the same content has not failed', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 1 });
      const [row = 0] = made.rows;
      await accepted(db, made, row, 'task_once');
      await fails(db, made, row);
      // What a journal brings back where the ledger was restored to before the row was made again.
      await db.query(
        `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, content_hash, deadline,
                                       finished_at, outcome, task_id, surplus)
         select gen_random_uuid(), id, 2, 'w1', $2, 0, content_hash, now(), now(), 'accepted', 'task_again', true
           from vidbatch.submission where id = $1`,
        [row, made.origin],
      );
      const { groups, another } = await readRemakable(db, made.id, null);
      assert.deepEqual([groups, another], [[], 1]);
      assert.equal(await remake(db, made), 0);
      await db.query(
        `update vidbatch.attempt set outcome = null, finished_at = null, task_id = null, surplus = false
          where task_id = 'task_again'`,
      );
      assert.equal(await remake(db, made), 0, 'nobody knows whether the second request was accepted');
      await db.query(
        `update vidbatch.attempt set content_hash = 'of another text' where submission_id = $1 and number = 2`,
        [row],
      );
      assert.equal(await remake(db, made), 1, 'a task for a text that was edited since is no second one');
    });

    test('counts as spent in a budget, and the second task needs room in it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { price: 2, budget: 3 });
      const [id = 0] = made.rows;
      const claim = (await tryAlone(db, made, id)) ?? assert.fail('the budget pays for it');
      await record(db, [resultOf(claim, outcomeOf('accepted', { taskId: 'task_7' }))]);
      await fails(db, made, id);
      assert.equal(await remake(db, made), 1);
      const status = (await readBudgetStatus(db, made.id)) ?? assert.fail('it has a budget');
      assert.deepEqual([status.spent, status.left, status.beyond], [amount('2'), amount('1'), 1]);
      assert.equal(await tryAlone(db, made, id), undefined);
      assert.deepEqual(await faults(db, made), []);
      await db.query('update vidbatch.batch set budget = 4 where id = $1', [made.id]);
      const again = (await tryAlone(db, made, id)) ?? assert.fail('the higher budget pays for it');
      await record(db, [resultOf(again, outcomeOf('accepted', { taskId: 'task_8' }))]);
      assert.deepEqual((await readBudgetStatus(db, made.id))?.spent, amount('4'));
      assert.deepEqual(await faults(db, made), []);
    });

    test('that did not fail after all keeps its row: nothing is paid again, and the event log says so', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2, price: 2, budget: 9 });
      const [first = 0, second = 0] = made.rows;
      for (const [n, id] of made.rows.entries()) {
        const claim = (await tryAlone(db, made, id)) ?? assert.fail('the budget pays for it');
        await record(db, [resultOf(claim, outcomeOf('accepted', { taskId: `task_1${n}` }))]);
        await fails(db, made, id);
      }
      const prices: Prices = new Map([
        ['viduq3p-720p', { amount: amount('4'), currency: 'CNY', per: 'video' }],
      ]);
      assert.equal(await remake(db, made, null, prices), 2);
      const again = (await tryAlone(db, made, second)) ?? assert.fail('the budget pays for it');
      await says(db, made, first, 'task_10', 'completed');
      await says(db, made, second, 'task_11', 'completed');
      const [back, flying] = await findEach(db, made, 'k1', 'k2');
      assert.deepEqual(
        [back?.state, back?.taskId, back?.price?.amount, back?.earlierTaskIds],
        ['submitted', 'task_10', '2', []],
      );
      assert.equal(await tryAlone(db, made, first), undefined, 'it is not sent again');
      assert.equal(flying?.state, 'submitting', 'what is on its way decides by itself');
      assert.match(
        JSON.stringify(await readEventLog(db, first)),
        /task-back.*task_10 did not fail after all/,
      );
      assert.deepEqual(await remake(db, made, ['k1']), 0, 'nor made again as long as it is called otherwise');
      await record(db, [resultOf(again, outcomeOf('accepted', { taskId: 'task_12' }))]);
      assert.deepEqual((await readBudgetStatus(db, made.id))?.spent, amount('8'), '2, and 2 and 4');
      assert.deepEqual(
        (await faults(db, made)).filter((one) => !/provider calls it completed/.test(one)),
        [],
      );
    });

    test('that did not fail after all is not given back to a row that was edited meanwhile', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3, price: 2, budget: 9 });
      const [edited = 0, restored = 0, unknown = 0] = made.rows;
      for (const [n, id] of made.rows.entries()) {
        const claim = (await tryAlone(db, made, id)) ?? assert.fail('the budget pays for it');
        await record(db, [resultOf(claim, outcomeOf('accepted', { taskId: `task_2${n}` }))]);
        await fails(db, made, id);
      }
      await db.query('update vidbatch.attempt set content_hash = null where submission_id = $1', [unknown]);
      assert.equal(await remake(db, made), 3);
      const edit = (id: number, to: string): Promise<unknown> => editRow(db, id, { contentHash: to });
      await edit(edited, 'other');
      await edit(restored, 'other');
      await edit(restored, `${made.name}2`);
      for (const [n, id] of made.rows.entries()) await says(db, made, id, `task_2${n}`, 'completed');
      const views = await findEach(db, made, 'k1', 'k2', 'k3');
      assert.deepEqual(
        views.map(({ state, taskId, earlierTaskIds }) => [state, taskId, earlierTaskIds]),
        [
          ['pending', null, ['task_20']],
          ['submitted', 'task_21', []],
          ['pending', null, ['task_22']],
        ],
        'what an attempt sent is known of the first two alone, and is what the second says again',
      );
      assert.match(
        JSON.stringify(await readEventLog(db, edited)),
        /task-kept.*task_20 did not fail.*edited since/,
      );
      assert.deepEqual(
        (await readBudgetStatus(db, made.id))?.spent,
        amount('6'),
        'each first task stays paid',
      );
    });

    test('costs the price of the price file the second time', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { price: 2 });
      const [id = 0] = made.rows;
      await accepted(db, made, id, 'task_9');
      await fails(db, made, id);
      const prices: Prices = new Map([
        ['viduq3p-720p', { amount: amount('7'), currency: 'CNY', per: 'video' }],
      ]);
      await remake(db, made, null, prices);
      assert.equal(only(await findSubmissions(db, made.id, 'k1')).price?.amount, '7');
      const { rows } = await db.query(
        'select remade_price::text from vidbatch.attempt where submission_id = $1',
        [id],
      );
      assert.deepEqual(rows, [{ remade_price: '2' }]);
    });
  });
});

onEvery(['postgres'], (storage) => {
  test('a failed task that proves to be alive at the same moment is not made again', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const [id = 0] = made.rows;
    await accepted(db, made, id, 'task_30');
    await fails(db, made, id);
    const { asOf } = await readRemakable(db, made.id, null);
    const late = await db.connect();
    await late.query('begin');
    await says(late, made, id, 'task_30', 'completed');
    let ended = false;
    const remade = transaction(db, (session) =>
      remakeFailed(session, made.id, { keys: null, asOf, who: 'anna', prices: NO_PRICES }),
    ).finally(() => (ended = true));
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await until(async () => ended || (await db.query(waits)).rows.length > 0);
    await late.query('commit');
    late.release();
    assert.equal(await remade, 0);
    assert.equal(only(await findSubmissions(db, made.id, 'k1')).taskId, 'task_30');
  });
});
