import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queryable } from '../../../src/database/database.ts';
import { readFailures } from '../../../src/ledger/read/failures.ts';
import { claimAll, makeBatch, recordOne } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

/** What a poller writes when the provider says that the task of a row has failed. */
async function failTask(db: Queryable, id: number | undefined, reason: string): Promise<void> {
  await db.query(
    `insert into vidbatch.task (submission_id, task_id, batch_id, model, origin, surplus, accepted_at, status, fail_reason,
                                finished_at)
     select id, task_id, batch_id, model, 'https://a.example', false, now(), 'failed', $2, now()
       from vidbatch.row_state where id = $1`,
    [id, reason],
  );
  await db.query(
    `update vidbatch.row_state set provider_status = 'failed', error_code = 'TASK_FAILED', error = $2 where id = $1`,
    [id, reason],
  );
}

onEvery(SQL_LEDGERS, (storage) => {
  test('rows and tasks that failed are grouped by cause and model, and uncertain rows are left out', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 6 });
    const claims = await claimAll(db, made, made.rows.slice(0, 5));
    for (const [n, one] of claims.entries())
      await recordOne(db, one, n < 2 ? 'rejected' : n === 2 ? 'uncertain' : 'accepted');
    for (const id of made.rows.slice(3, 5)) await failTask(db, id, 'no luck');
    // A person pays for this one again.
    await db.query(`update vidbatch.attempt set remade_at = now() where submission_id = $1`, [made.rows[3]]);
    const groups = await readFailures(db, { batchId: made.id, since: null });
    assert.deepEqual(
      groups.map(({ kind, rows, lastHour, model, batch, examples }) => ({
        kind,
        rows,
        lastHour,
        model,
        batch,
        examples,
      })),
      [
        { kind: 'rejected', rows: 2, lastHour: 2, examples: ['k2', 'k1'] },
        { kind: 'task', rows: 1, lastHour: 1, examples: ['k5'] },
      ].map((group) => ({ ...group, model: 'viduq3p-720p', batch: made.name })),
    );
    assert.equal(groups[1]?.code, 'no luck');
    assert.equal(groups[1]?.reason, 'no luck');
    const later = new Date(Date.now() + 3_600_000);
    assert.deepEqual(await readFailures(db, { batchId: made.id, since: later }), []);
  });
});
