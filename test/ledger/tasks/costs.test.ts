import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAnsweredCosts } from '../../../src/ledger/tasks/costs.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { readUnread } from '../../../src/ledger/read/unread.ts';
import { poll, reportOf, take } from '../../contract/polls.ts';
import { claimAll, makeBatch, outcomeOf, resultOf, type Made } from '../../contract/rows.ts';
import type { Database } from '../../../src/database/database.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

async function accepted(db: Database, rows: number, more: { queryUrl?: string } = {}): Promise<Made> {
  const made = await makeBatch(db, { rows });
  const claims = await claimAll(db, made, made.rows);
  await record(
    db,
    claims.map((one, n) =>
      resultOf(one, { ...outcomeOf('accepted', { taskId: `t-${made.id}-${n}` }), ...more }),
    ),
  );
  return made;
}

onEvery(SQL_LEDGERS, (storage) => {
  test('what answers tell of the cost is summed by unit; ended tasks that tell none are counted', async () => {
    const { db } = storage();
    const made = await accepted(db, 5);
    const costs = [
      { amount: '0.10', unit: 'CNY' },
      { amount: '0.20', unit: 'CNY' },
      { amount: '1e3', unit: 'token' },
      { amount: 'not a number', unit: 'token' },
    ];
    assert.deepEqual(await readAnsweredCosts(db, [made.id]), { sums: [], untold: null });
    await poll(db, made, ({ taskId }) => {
      const cost = costs[Number(taskId.split('-').at(-1))];
      return reportOf('completed', { resultUrl: 'https://cdn.example/v', ...(cost && { cost }) });
    });
    assert.deepEqual(await readAnsweredCosts(db, [made.id]), {
      sums: [
        { unit: 'CNY', amount: '0.3', tasks: 2 },
        { unit: 'token', amount: '1000', tasks: 1 },
      ],
      untold: 2,
    });
  });

  test('a cost that was told stays when a later answer tells none', async () => {
    const { db } = storage();
    const made = await accepted(db, 1);
    await poll(db, made, () => reportOf('in_progress', { cost: { amount: '2', unit: 'CNY' } }));
    await db.query('update vidbatch.task set due_at = now() where batch_id = $1', [made.id]);
    await poll(db, made, () => reportOf('failed'));
    const { sums } = await readAnsweredCosts(db, [made.id]);
    assert.deepEqual(sums, [{ unit: 'CNY', amount: '2', tasks: 1 }]);
  });

  test('a task is polled where its create answer said, each time', async () => {
    const { db } = storage();
    const made = await accepted(db, 1, { queryUrl: '/watch/7?sig=a%2Fb' });
    assert.equal((await take(db, made))[0]?.queryUrl, '/watch/7?sig=a%2Fb');
    const plain = await accepted(db, 1);
    assert.equal((await take(db, plain))[0]?.queryUrl, null);
    assert.equal((await take(db, await accepted(db, 1)))[0]?.profileId, made.profileId);
  });

  test('answers in which something is not found are told, each kind once, until they are read', async () => {
    const { db } = storage();
    const made = await accepted(db, 4);
    assert.deepEqual(await readUnread(db, made.id), []);
    await poll(db, made, ({ taskId }) =>
      taskId.endsWith('0')
        ? reportOf('completed')
        : taskId.endsWith('1')
          ? { kind: 'transient', trouble: 'broken', message: 'HTTP 200: no readable task' }
          : reportOf('unknown', { rawStatus: 'well done' }),
    );
    const told = await readUnread(db, made.id);
    assert.deepEqual(
      told.map(({ what, word }) => [what, word]),
      [
        ['task', null],
        ['status', 'well done'],
        ['video', null],
      ],
    );
    await db.query('update vidbatch.task set due_at = now() where batch_id = $1', [made.id]);
    await poll(db, made, () => reportOf('completed', { resultUrl: 'https://cdn.example/v' }));
    assert.deepEqual(await readUnread(db, made.id), []);
  });
});
