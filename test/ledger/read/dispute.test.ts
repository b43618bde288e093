import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDisputes, type Dispute } from '../../../src/ledger/read/dispute.ts';
import type { Queryable } from '../../../src/database/database.ts';
import { makeHistory } from '../../contract/history.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

async function disputesOf(db: Queryable, batchId: number): Promise<Dispute[]> {
  const all: Dispute[] = [];
  for await (const one of readDisputes(db, batchId)) all.push(one);
  return all;
}

onEvery(SQL_LEDGERS, (storage) => {
  test('a surplus task, a failed task and an uncertain row are disputed, until a refund is known', async () => {
    const { db } = storage();
    const { batch, rows } = await makeHistory(db);
    await db.query(
      `update vidbatch.task set status = 'failed', fail_reason = 'no video', body = repeat('x', 5000)
        where submission_id = $1`,
      [rows.completed],
    );
    const found = await disputesOf(db, batch.id);
    const kinds = (id: number): string[] =>
      found.filter(({ submissionId }) => submissionId === id).map(({ kind }) => kind);
    assert.deepEqual(kinds(rows.surplus), ['paid-twice']);
    assert.deepEqual(kinds(rows.completed), ['task-failed']);
    for (const id of [rows.uncertain, rows.abandoned]) assert.deepEqual(kinds(id), ['uncertain']);
    for (const id of [rows.accepted, rows.rejected, rows.resent, rows.late]) assert.deepEqual(kinds(id), []);
    assert.deepEqual(
      found.map(({ kind }) => kind),
      found.map(({ kind }) => kind).sort(),
      'the surplus tasks come first, then the failed ones',
    );
    const failed = found.find(({ kind }) => kind === 'task-failed');
    assert.equal(failed?.problem, 'no video');
    assert.deepEqual([failed?.answer?.length, failed?.answerLength], [4000, 5000]);
    assert.equal(failed?.charged, null, 'no bill was read');

    const bill = async (entry: string, occurrence: number): Promise<void> => {
      await db.query(
        `insert into vidbatch.charge (submission_id, batch_id, task_id, identity, occurrence, entry, amount, currency, file, line)
         values ($1, $5, $2, $3, $4, $3, 2.50, 'CNY', 'bill.csv', 2)`,
        [rows.completed, failed?.taskId, entry, occurrence, batch.id],
      );
    };
    await bill('charge', 1);
    const charged = (await disputesOf(db, batch.id)).find(({ kind }) => kind === 'task-failed');
    assert.deepEqual(charged?.charged, [{ amount: '2.5', currency: 'CNY' }]);
    await bill('refund', 1);
    assert.ok(
      !(await disputesOf(db, batch.id)).some(({ kind }) => kind === 'task-failed'),
      'it was refunded',
    );
  });

  test('a task that was charged twice is disputed by what goes beyond one charge', async () => {
    const { db } = storage();
    const { batch, rows } = await makeHistory(db);
    const { rows: tasks } = await db.query<{ taskId: string }>(
      `select task_id as "taskId" from vidbatch.task where submission_id = $1`,
      [rows.completed],
    );
    const bill = async (identity: string, entry: 'charge' | 'refund', amount: string): Promise<void> => {
      await db.query(
        `insert into vidbatch.charge (submission_id, batch_id, task_id, identity, occurrence, entry, amount, currency, file, line)
         values ($1, $6, $2, $3, 1, $4, $5, 'CNY', 'bill.csv', 2)`,
        [rows.completed, tasks[0]?.taskId, identity, entry, amount, batch.id],
      );
    };
    const twice = async (): Promise<Dispute | undefined> =>
      (await disputesOf(db, batch.id)).find(({ kind }) => kind === 'charged-twice');
    await bill('id:1', 'charge', '2.50');
    await bill('untimed:charge', 'charge', '2.50');
    assert.equal(await twice(), undefined, 'one entry, once with its number and once without');
    await bill('id:2', 'charge', '2.00');
    const found = await twice();
    assert.equal(found?.submissionId, rows.completed);
    assert.deepEqual(found.charged, [{ amount: '2', currency: 'CNY' }]);
    await db.query(`update vidbatch.row_state set price = 4.50, currency = 'CNY' where id = $1`, [
      rows.completed,
    ]);
    assert.equal(await twice(), undefined, 'two parts of its price');
    await db.query('update vidbatch.row_state set price = 2.50 where id = $1', [rows.completed]);
    assert.notEqual(await twice(), undefined);
    await bill('id:3', 'refund', '2.00');
    assert.equal(await twice(), undefined, 'one charge was refunded');
  });
});
