import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readIdSpan, readSeries, stepOf, type Series } from '../../../src/ledger/read/attempt-series.ts';
import type { Queryable } from '../../../src/database/database.ts';
import { makeBatch, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

/** Accepted calls, one each `everySeconds`, which took 100 ms, 200 ms and so on. */
async function accept(db: Queryable, made: Made, everySeconds: number): Promise<void> {
  await db.query(
    `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, deadline, claimed_at, finished_at,
                                   outcome, http_status, task_id)
     select gen_random_uuid(), s.id, 1, 'w', 'o', 1, now(), start - ms * interval '1 millisecond', start, 'accepted', 200, 'task_' || s.id
       from (select id, 100 * row_number() over (order by id) as ms,
                    '2026-11-30 10:00:00Z'::timestamptz + $2 * (row_number() over (order by id) - 1) * interval '1 second' as start
               from vidbatch.row_state where batch_id = $1) s`,
    [made.id, everySeconds],
  );
}

async function seriesOf(db: Queryable, made: Made): Promise<Series | null> {
  const ids = await readIdSpan(db, made.id);
  return ids && readSeries(db, made.id, { rows: made.rows.length, ids });
}

onEvery(SQL_LEDGERS, (storage) => {
  test('the calls of a batch over time: accepted rows, waits, throttling and money', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4, price: 2.5 });
    assert.equal(await seriesOf(db, made), null);
    await accept(db, made, 20);
    await db.query(
      `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, deadline, claimed_at, finished_at,
                                     outcome, http_status)
       values (gen_random_uuid(), $1, 1, 'w', 'o', 1, now(), '2026-11-30 10:00:00Z', '2026-11-30 10:00:01Z', 'throttled', 429)`,
      [made.rows[0]],
    );
    const { points = [], ...rest } = (await seriesOf(db, made)) ?? {};
    assert.deepEqual(rest, { stepSeconds: 2, sampled: 1, currency: 'CNY' });
    const at = Date.parse('2026-11-30T10:00:00Z');
    assert.deepEqual(points[0], {
      at,
      accepted: 1,
      throttled: 1,
      p50: 550,
      p95: 955,
      spent: 2.5,
      unpriced: 0,
    });
    assert.deepEqual(points[3], {
      at: at + 60_000,
      accepted: 1,
      throttled: 0,
      p50: 400,
      p95: 400,
      spent: 2.5,
      unpriced: 0,
    });
    assert.equal(points.length, 4);
  });

  test('of a large batch, a sample is read, and the points stay few', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 12_000, price: 1 });
    await accept(db, made, 60);
    const series = (await seriesOf(db, made)) ?? assert.fail('there are calls');
    assert.equal(series.sampled, 3);
    assert.ok(series.points.length > 20 && series.points.length <= 60, `${series.points.length} points`);
    const accepted = series.points.reduce((sum, point) => sum + point.accepted, 0);
    assert.ok(Math.abs(accepted - 12_000) < 100, `about 12,000: ${accepted}`);
  });
});

test('the work for a chart does not grow with the batch, and not with the distance of its ids', () => {
  const work = (rows: number, last: number): number => last / stepOf({ rows, ids: { first: 1, last } });
  assert.equal(stepOf({ rows: 5_000, ids: { first: 1, last: 5_000 } }), 1);
  assert.ok(work(1_000_000, 1_000_000) <= 5_000);
  assert.ok(work(6_000, 90_000_000) <= 20_000);
});
