import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFailures } from '../../../src/ledger/read/failures.ts';
import { claimAll, makeBatch, recordOne } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

onEvery(SQL_LEDGERS, (storage) => {
  test('rows and tasks that failed are grouped by cause and model, and uncertain rows are left out', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 6 });
    const claims = await claimAll(db, made, made.rows.slice(0, 5));
    for (const [n, one] of claims.entries())
      await recordOne(db, one, n < 2 ? 'rejected' : n === 2 ? 'uncertain' : 'accepted');
    await db.query(
      `update vidbatch.row_state set provider_status = 'failed', error_code = 'TASK_FAILED', error = 'no luck'
        where id = $1`,
      [made.rows[4]],
    );
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
    const later = new Date(Date.now() + 3_600_000);
    assert.deepEqual(await readFailures(db, { batchId: made.id, since: later }), []);
  });
});
