import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Queryable } from '../../src/database/database.ts';
import { readNumbers } from '../../src/ledger/read/batch-numbers.ts';
import { readCount } from '../../src/ledger/read/query.ts';
import { addUpCounts } from '../../src/ledger/row-counts.ts';
import { forgetVideo, recordBegun, recordDownloaded, saveFolder } from '../../src/ledger/tasks/downloads.ts';
import { claimAll, makeBatch, only, outcomeOf, recordOne } from '../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../contract/storages.ts';

const VIDEO = { file: 'k1.mp4', bytes: 1, sha256: 'a'.repeat(64), type: 'video/mp4' };

/** The counters of a batch, and the same counted from its rows. */
async function bothCounts(db: Queryable, batchId: number): Promise<[unknown[], unknown[]]> {
  const columns = 'state, provider_status, error_code, model, price, currency, doubtful, stored, quarter';
  const read = async (n: string, from: string): Promise<unknown[]> => {
    const { rows } = await db.query(
      `select ${columns}, ${n}::int as n from vidbatch.${from} where batch_id = $1
        group by ${columns} having ${n} <> 0 order by ${columns}`,
      [batchId],
    );
    return rows;
  };
  return [await read('sum(rows)', 'row_count'), await read('count(*)', 'row_state')];
}

onEvery(SQL_LEDGERS, (storage) => {
  test('counters follow the rows, and are the same after they were added up by two processes', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 600, price: 2.2 });
    const claims = await claimAll(db, made, made.rows.slice(0, 3));
    for (const claim of claims) await recordOne(db, claim, outcomeOf('accepted'));
    for (const id of made.rows.slice(3)) {
      await db.query(`update vidbatch.row_state set previous = state, state = 'cancelled' where id = $1`, [
        id,
      ]);
    }
    const [counted, rows] = await bothCounts(db, made.id);
    assert.deepEqual(counted, rows);

    const records = (): Promise<number> =>
      readCount(db, 'select count(*)::int as n from vidbatch.row_count where batch_id = $1', [made.id]);
    const many = await records();
    await addUpCounts(db);
    assert.equal(await records(), many, 'records of the last minutes stay');
    await db.query(`update vidbatch.row_count set at = at - interval '1 hour' where batch_id = $1`, [
      made.id,
    ]);
    await Promise.all([addUpCounts(db), addUpCounts(db)]);
    assert.deepEqual(await bothCounts(db, made.id), [rows, rows]);
    assert.ok(
      (await records()) <= rows.length,
      `${await records()} records for ${rows.length} kinds of rows`,
    );
  });

  test('many records stay as they are if each of them is of another kind', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 1 });
    await db.query(
      `insert into vidbatch.row_count (batch_id, state, doubtful, stored, quarter, rows, at)
       select $1, 'submitted', false, false, now() - n * interval '15 minutes', 1, now() - interval '1 hour'
         from generate_series(1, 1500) n`,
      [made.id],
    );
    const places = async (): Promise<unknown[]> =>
      (await db.query('select ctid::text from vidbatch.row_count where batch_id = $1 order by 1', [made.id]))
        .rows;
    const before = await places();
    await addUpCounts(db);
    assert.deepEqual(await places(), before);
    await db.query(`delete from vidbatch.row_count where batch_id = $1 and state = 'submitted'`, [made.id]);
  });

  test('a video counts as downloaded as long as one folder has it', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 1 });
    const claim = only(await claimAll(db, made, made.rows));
    await recordOne(db, claim, outcomeOf('accepted'));
    await db.query(`update vidbatch.row_state set provider_status = 'completed' where id = $1`, [
      claim.submissionId,
    ]);
    const { rows } = await db.query<{ taskId: string }>(
      'select task_id as "taskId" from vidbatch.row_state where id = $1',
      [claim.submissionId],
    );
    const folders = [randomUUID(), randomUUID()];
    const places = folders.map((folderId) => ({ folderId, id: claim.submissionId, ...only(rows) }));
    for (const id of folders) await saveFolder(db, { id, batchId: made.id, host: 'h', path: `/${id}` });
    const downloaded = async (): Promise<number> => (await readNumbers(db, made.id)).stages.downloaded;
    const seen: number[] = [];
    for (const place of places) {
      await recordBegun(db, place, { validator: null, total: null });
      seen.push(await downloaded());
      await recordDownloaded(db, place, VIDEO);
      seen.push(await downloaded());
    }
    for (const { folderId, id } of places) {
      await forgetVideo(db, folderId, id);
      seen.push(await downloaded());
    }
    assert.deepEqual(seen, [0, 1, 1, 1, 1, 0]);
  });
});
