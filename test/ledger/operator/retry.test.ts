import assert from 'node:assert/strict';
import { test } from 'node:test';
import { transaction } from '../../../src/database/database.ts';
import { assignKeys, stageRows, beginImport } from '../../../src/ledger/import/stage.ts';
import { retryChanged } from '../../../src/ledger/operator/retry.ts';
import { claimFirst, makeBatch, recordOne } from '../../contract/rows.ts';
import { onEvery } from '../../contract/storages.ts';
import { until } from '../../until.ts';

onEvery(['postgres'], (storage) => {
  test('a corrected row that was sent meanwhile in its old version is left alone', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const [id = 0] = made.rows;
    await recordOne(db, await claimFirst(db, made), 'rejected');
    const importId = await beginImport(db);
    await stageRows(db, importId, [
      {
        position: 1,
        line: 1,
        keyBasis: 'k1',
        numbered: false,
        input: '{}',
        request: '{"model":"viduq3p-720p","prompt":"corrected"}',
        contentHash: 'corrected',
        model: 'viduq3p-720p',
        mode: 'text',
        notBefore: null,
        priority: 0,
        errorCode: null,
        error: null,
      },
    ]);
    await assignKeys(db, importId, 1);
    const { retrying } = await transaction(db, async (session) => {
      await session.query(
        `update vidbatch.row_state set previous = 'rejected', state = 'pending' where id = $1`,
        [id],
      );
      await session.query(
        `update vidbatch.row_state set previous = 'pending', state = 'submitting', deadline = now() where id = $1`,
        [id],
      );
      const waiting = retryChanged(db, made.id, importId, {}, 'anna');
      await until(async () => {
        const { rows } = await db.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows.length > 0;
      });
      return { retrying: waiting };
    });
    assert.equal(await retrying, 0);
    const { rows } = await db.query('select state, content_hash from vidbatch.row_state where id = $1', [id]);
    assert.deepEqual(rows, [{ state: 'submitting', content_hash: `${made.name}1` }]);
    await db.query('delete from vidbatch.import where id = $1', [importId]);
  });
});
