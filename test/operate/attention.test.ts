import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attentionOf, readAttention } from '../../src/operate/attention.ts';
import { claimAll, makeBatch, recordOne } from '../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../contract/storages.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const CALM: Parameters<typeof attentionOf>[0] = {
  paidTwice: 0,
  sharedTasks: [],
  uncertain: 0,
  uncertainCost: [],
  uncertainUnpriced: 0,
  oldestUncertain: null,
  unfed: [],
  lastWorker: null,
  someAlive: false,
  silent: [],
  halts: [],
  stopped: [],
  spent: [],
  failedSchedules: [],
  failedTasks: [],
  dying: [],
  untold: [],
};

test('nothing to do is an empty list', () => {
  assert.deepEqual(attentionOf(CALM, NOW), []);
});

test('the worst comes first, each with its cause and its command', () => {
  const all = attentionOf(
    {
      ...CALM,
      failedTasks: [{ batch: "o'clock", tasks: 2 }],
      uncertain: 18,
      uncertainCost: [{ amount: '26.4', currency: 'CNY' }],
      oldestUncertain: new Date(NOW - 14 * 60_000),
      unfed: [{ id: '1', batch: 'clips', rows: 400 }],
      lastWorker: new Date(NOW - 90_000),
      paidTwice: 1,
      sharedTasks: [{ batch: 'clips', rows: 2 }],
      spent: [{ id: '1', batch: 'clips', budget: '12.5', currency: 'CNY', rows: 3 }],
    },
    NOW,
  );
  assert.deepEqual(
    all.map(({ kind, what, command }) => [kind, what, command]),
    [
      [
        'paid-twice',
        '1 row was paid twice: cancel one of the tasks at the provider, or use both',
        'vidbatch uncertain',
      ],
      [
        'task-shared',
        '2 rows of batch clips have the task id of another row: the provider gave both one task, and one of them may have no video',
        'vidbatch verify',
      ],
      ['no-worker', 'no worker is alive, the last one was seen 1m 30s ago: 400 rows wait', 'vidbatch work'],
      [
        'uncertain',
        '18 rows may have been paid, at most 26.40 CNY; the oldest is 14m 00s old',
        'vidbatch uncertain',
      ],
      [
        'budget-used',
        'the budget of batch clips, 12.50 CNY, is used up: 3 rows wait',
        'vidbatch status clips',
      ],
      [
        'tasks-failed',
        "2 tasks of batch o'clock failed within the last day; to make them again is paid again",
        "vidbatch failures 'o'\\''clock'",
      ],
    ],
  );
});

onEvery(SQL_LEDGERS, (storage) => {
  test('the ledger tells rows without a worker, uncertain rows, a stopped batch and failed tasks', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4, price: 2 });
    const stopped = await makeBatch(db, { rows: 1 });
    const spent = await makeBatch(db, { rows: 3, price: 2, budget: 1 });
    await db.query(
      `update vidbatch.batch set state = 'stopped', stop_code = 'canary', stop_reason = 'one of the first rows failed' where id = $1`,
      [stopped.id],
    );
    const [first, second] = await claimAll(db, made, made.rows.slice(0, 2));
    assert.ok(first && second);
    await recordOne(db, first, 'uncertain');
    await recordOne(db, second, 'accepted');
    const kinds = async (): Promise<string[]> => (await readAttention(db)).map(({ kind }) => kind);
    assert.deepEqual(await kinds(), ['no-worker', 'uncertain', 'stopped', 'budget-used']);
    const [noWorker, uncertain] = await readAttention(db);
    assert.match(noWorker?.what ?? '', /2 rows wait/);
    assert.match(uncertain?.what ?? '', /1 row may have been paid, at most 2\.00 CNY/);
    assert.match(
      (await readAttention(db)).at(-1)?.what ?? '',
      /^the budget of batch .+, 1\.00 CNY, is used up: 3 rows wait$/,
    );
    await db.query(`update vidbatch.batch set state = 'paused' where id = $1`, [spent.id]);
    await db.query(
      `insert into vidbatch.worker (id, host, pid, version, origin, concurrency, limits) values ('w', 'h', 1, '0', $1, 1, '[]')`,
      [made.origin],
    );
    assert.deepEqual(await kinds(), ['uncertain', 'stopped'], 'a worker is alive');
    await db.query(`update vidbatch.worker set seen_at = now() - interval '4 seconds'`);
    assert.deepEqual(await kinds(), ['silent-worker', 'uncertain', 'stopped'], 'it may be dead');
    const [silent] = await readAttention(db);
    assert.match(silent?.what ?? '', /^the worker on h with pid 1 has given no sign of life for \ds$/);
    await db.query(
      `insert into vidbatch.worker (id, host, pid, version, origin, concurrency, limits) values ('n', 'h', 2, '0', $1, 1, '[]')`,
      [made.origin],
    );
    assert.deepEqual(await kinds(), ['uncertain', 'stopped'], 'another one has started there');
  });
});
