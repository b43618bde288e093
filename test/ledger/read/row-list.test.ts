import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { noStages } from '../../../src/core/video-stage.ts';
import type { Database, Queryable } from '../../../src/database/database.ts';
import { readNumbers } from '../../../src/ledger/read/batch-numbers.ts';
import { listRows, ORDER_NAMES, type Order, type RowsAsked } from '../../../src/ledger/read/row-list.ts';
import { claimAll, makeBatch, outcomeOf, recordOne, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const ASKED: RowsAsked = { order: 'line', descending: false, limit: 100 };

async function accepted(db: Database, made: Made): Promise<void> {
  for (const claim of await claimAll(db, made, made.rows)) await recordOne(db, claim, outcomeOf('accepted'));
}

async function setStatus(db: Queryable, id: number | undefined, status: string): Promise<void> {
  await db.query('update vidbatch.row_state set provider_status = $2 where id = $1', [id, status]);
}

async function download(db: Queryable, made: Made, id: number | undefined, taskId?: string): Promise<void> {
  const folder = randomUUID();
  await db.query(
    `insert into vidbatch.folder (id, batch_id, host, path) values ($1, $2, 'here', '/videos')`,
    [folder, made.id],
  );
  await db.query(
    `insert into vidbatch.download (folder_id, submission_id, task_id, state, file, bytes, sha256, media_type)
     select $1, id, coalesce($3, task_id), 'downloaded', 'a.mp4', 3, 'aa', 'video/mp4' from vidbatch.row_state where id = $2`,
    [folder, id, taskId ?? null],
  );
}

onEvery(SQL_LEDGERS, (storage) => {
  test('the rows of a batch are listed in each order, forward and backward, without gap or overlap', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 23, price: 2.2 });
    await db.query(
      `update vidbatch.row_state set attempts = id % 3, updated_at = now() + (id % 7) * interval '1 microsecond'
        where batch_id = $1`,
      [made.id],
    );
    for (const order of ORDER_NAMES) {
      for (const descending of [false, true]) {
        const asked = { ...ASKED, order, descending };
        const all = (await listRows(db, made.id, asked)).map(({ key }) => key);
        assert.equal(new Set(all).size, 23);
        assert.deepEqual(await walk(db, made.id, asked, 'after'), all, `${order} forward`);
        assert.deepEqual(await walk(db, made.id, asked, 'before'), all, `${order} backward`);
      }
    }
  });

  test('rows can be filtered by state, task, error and key', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 6 });
    await accepted(db, made);
    const [queued, rendering, completed, downloaded, failed, remade] = made.rows;
    await setStatus(db, rendering, 'in_progress');
    for (const id of [completed, downloaded, remade]) await setStatus(db, id, 'completed');
    await setStatus(db, failed, 'failed');
    await db.query(`update vidbatch.row_state set error_code = 'TASK_FAILED' where id = $1`, [failed]);
    await download(db, made, downloaded);
    // In two folders, it is still one video.
    await download(db, made, downloaded);
    // This is the video of an earlier task.
    await download(db, made, remade, 'task_before');
    const ids = async (filter: Partial<RowsAsked>): Promise<number[]> =>
      (await listRows(db, made.id, { ...ASKED, ...filter })).map(({ id }) => id);
    assert.deepEqual(await ids({ task: 'sent' }), [queued]);
    assert.deepEqual(await ids({ task: 'rendering' }), [rendering]);
    assert.deepEqual(await ids({ task: 'completed' }), [completed, downloaded, remade]);
    assert.deepEqual(await ids({ task: 'not-downloaded' }), [completed, remade]);
    assert.deepEqual(await ids({ task: 'downloaded' }), [downloaded]);
    assert.deepEqual(await ids({ task: 'failed' }), [failed]);
    assert.deepEqual(await ids({ error: 'TASK_FAILED' }), [failed]);
    assert.deepEqual(await ids({ state: 'pending' }), []);
    assert.deepEqual(await ids({ key: 'k3', state: 'submitted' }), [completed]);
    const { stages } = await readNumbers(db, made.id);
    assert.deepEqual(stages, {
      ...noStages(),
      sent: 1,
      rendering: 1,
      completed: 2,
      downloaded: 1,
      failed: 1,
    });
  });

  test('a row has a cost from the moment at which it may be paid', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2, price: 2.2 });
    await claimAll(db, made, made.rows.slice(0, 1));
    const costs = (await listRows(db, made.id, ASKED)).map(({ cost }) => cost);
    assert.deepEqual(costs, [{ amount: '2.2', currency: 'CNY' }, null]);
  });
});

/** The keys of all rows, by pages of five. */
async function walk(
  db: Queryable,
  batchId: number,
  asked: RowsAsked & { order: Order },
  way: 'after' | 'before',
): Promise<string[]> {
  const keys: string[] = [];
  let from: RowsAsked['before'] = way === 'before' ? 'end' : undefined;
  for (;;) {
    const rows = await listRows(db, batchId, { ...asked, limit: 5, [way]: from });
    const edge = way === 'after' ? rows.at(-1) : rows[0];
    if (edge === undefined) return keys;
    const page = rows.map(({ key }) => key);
    keys.splice(way === 'after' ? keys.length : 0, 0, ...page);
    from = { value: edge.place, id: edge.id };
  }
}
