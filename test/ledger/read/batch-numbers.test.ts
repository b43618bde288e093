import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openOf } from '../../../src/core/task-status.ts';
import { noCounts } from '../../../src/core/states.ts';
import type { Queryable } from '../../../src/database/database.ts';
import { readNumbers } from '../../../src/ledger/read/batch-numbers.ts';
import { findBatch } from '../../../src/ledger/batches.ts';
import { summarise } from '../../../src/operate/summary.ts';
import { claimAll, makeBatch, outcomeOf, recordOne } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

/** A database that accepts one row after each statement. */
function moving(db: Queryable, accept: () => Promise<void>): Queryable {
  return {
    async query<Row>(text: string, params?: readonly unknown[]) {
      const answer = await db.query<Row>(text, params);
      await accept();
      return answer;
    },
  };
}

onEvery(SQL_LEDGERS, (storage) => {
  test('the numbers of a batch are from one moment while its rows move', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 8 });
    const claims = await claimAll(db, made, made.rows);
    const accept = async (): Promise<void> => {
      const claim = claims.pop();
      if (claim !== undefined) await recordOne(db, claim, outcomeOf('accepted'));
    };
    await accept();
    const { counts, tasks } = await readNumbers(moving(db, accept), made.id);
    assert.deepEqual([counts.submitted, counts.submitting, openOf(tasks)], [1, 7, 1]);
    const batch = (await findBatch(db, made.name)) ?? assert.fail('it was made');
    const { taskIds, rows } = await summarise(moving(db, accept), batch);
    assert.deepEqual([taskIds, rows], [2, 8]);
  });

  test('the status of tasks is counted with the rows', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4 });
    const claims = await claimAll(db, made, made.rows);
    for (const claim of claims.slice(0, 3)) await recordOne(db, claim, outcomeOf('accepted'));
    const [first, second, third] = made.rows;
    await db.query(
      `update vidbatch.row_state set provider_status = 'failed', error = 'no face' where id = any($1::bigint[])`,
      [[first, second]],
    );
    await db.query(`update vidbatch.row_state set provider_status = 'completed' where id = $1`, [third]);
    const { counts, tasks, failReasons, surplus, remade } = await readNumbers(db, made.id);
    assert.deepEqual(counts, { ...noCounts(), submitted: 3, submitting: 1 });
    assert.deepEqual([tasks.failed, tasks.completed, openOf(tasks), tasks.otherwise], [2, 1, 0, 0]);
    assert.deepEqual(failReasons, [{ reason: 'no face', tasks: 2 }]);
    assert.deepEqual([surplus, remade], [0, 0]);
  });
});
