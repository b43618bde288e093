import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attentionOf, formatAttention, readAttention } from '../../src/operate/attention.ts';
import { claimAll, makeBatch, recordOne } from '../contract/rows.ts';
import { LEDGERS, onEvery } from '../contract/storages.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const CALM: Parameters<typeof attentionOf>[0] = {
  paidTwice: 0,
  uncertain: 0,
  uncertainCost: [],
  oldestUncertain: null,
  unfed: 0,
  lastWorker: null,
  halts: [],
  stopped: [],
  failedSchedules: [],
  failedTasks: [],
  dying: [],
};

test('nothing to do is one calm line', () => {
  assert.deepEqual(formatAttention(attentionOf(CALM, NOW)), ['nothing needs attention']);
});

test('the worst comes first, each with its cause and its command', () => {
  const all = attentionOf(
    {
      ...CALM,
      failedTasks: [{ batch: "o'clock", tasks: 2 }],
      uncertain: 18,
      uncertainCost: [{ amount: '26.4', currency: 'CNY' }],
      oldestUncertain: new Date(NOW - 14 * 60_000),
      unfed: 400,
      lastWorker: new Date(NOW - 90_000),
      paidTwice: 1,
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
      ['no-worker', 'no worker is alive, the last one was seen 1m 30s ago: 400 rows wait', 'vidbatch work'],
      [
        'uncertain',
        '18 rows may have been paid, at most 26.40 CNY; the oldest is 14m 00s old',
        'vidbatch uncertain',
      ],
      [
        'tasks-failed',
        "2 tasks of batch o'clock failed within the last day; to make them again is paid again: vidbatch retry 'o'\\''clock' --failed-tasks",
        "vidbatch failures 'o'\\''clock'",
      ],
    ],
  );
});

onEvery(LEDGERS, (storage) => {
  test('the ledger tells rows without a worker, uncertain rows, a stopped batch and failed tasks', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4, price: 2 });
    const stopped = await makeBatch(db, { rows: 1 });
    await db.query(
      `update vidbatch.batch set state = 'stopped', stop_code = 'canary', stop_reason = 'one of the first rows failed' where id = $1`,
      [stopped.id],
    );
    const [first, second] = await claimAll(db, made, made.rows.slice(0, 2));
    assert.ok(first && second);
    await recordOne(db, first, 'uncertain');
    await recordOne(db, second, 'accepted');
    const kinds = async (): Promise<string[]> => (await readAttention(db)).map(({ kind }) => kind);
    assert.deepEqual(await kinds(), ['no-worker', 'uncertain', 'stopped']);
    const [noWorker, uncertain] = await readAttention(db);
    assert.match(noWorker?.what ?? '', /2 rows wait/);
    assert.match(uncertain?.what ?? '', /1 row may have been paid, at most 2\.00 CNY/);
    await db.query(
      `insert into vidbatch.worker (id, host, pid, version, origin, concurrency, limits) values ('w', 'h', 1, '0', $1, 1, '[]')`,
      [made.origin],
    );
    assert.deepEqual(await kinds(), ['uncertain', 'stopped'], 'a worker is alive');
  });
});
