import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimAll, makeBatch } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { followClock } from '../../../src/ledger/send/clock.ts';
import type { Queryable } from '../../../src/database/database.ts';
import { forgetFeeders, keepFeeder, leaveFeeder } from '../../../src/ledger/send/feeder.ts';

const HOUR_MS = 3_600_000;

/** Seconds from now of some moments, as the ledger has them. */
async function seconds(db: Queryable, columns: string, from: string): Promise<Record<string, number>> {
  const each = columns
    .split(' ')
    .map((name) => `round(extract(epoch from ${name} - now()))::int as "${name}"`);
  const { rows } = await db.query<Record<string, number>>(`select ${each.join(', ')} from ${from}`);
  return rows[0] ?? {};
}

onEvery(SQL_LEDGERS, (storage) => {
  test('a clock that was set back takes with it what the ledger waits for', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4 });
    const [flying, waiting, chosen, due] = made.rows;
    await claimAll(db, made, [flying ?? 0]);
    await keepFeeder(db, 'mine');
    await keepFeeder(db, 'dead');
    assert.equal(await followClock(db), 0);

    // As it stands once a clock that was an hour ahead is set right.
    await db.query(`update vidbatch.feeder set seen_at = now() + interval '1 h'`);
    await db.query(
      `update vidbatch.provider set throttled_until = now() + interval '1 h 7 s', throttled_since = now() + interval '59 m'
        where origin = $1`,
      [made.origin],
    );
    await db.query(
      `insert into vidbatch.quota (origin, model, next_slot) values ($1, '', now() + interval '1 h 2 s')`,
      [made.origin],
    );
    await db.query(
      `update vidbatch.attempt set claimed_at = now() + interval '59 m' where submission_id = $1`,
      [flying],
    );
    await db.query(`update vidbatch.row_state set deadline = now() + interval '1 h 9 s' where id = $1`, [
      flying,
    ]);
    const row = `update vidbatch.row_state set attempts = $2, updated_at = $3, not_before = $4 where id = $1`;
    const soon = (ms: number): Date => new Date(Date.now() + ms);
    const recorded = soon(HOUR_MS - 60_000);
    await db.query(row, [waiting, 1, recorded, soon(HOUR_MS + 30_000)]);
    await db.query(row, [chosen, 0, recorded, soon(2 * HOUR_MS)]);
    await db.query(row, [due, 1, recorded, soon(-HOUR_MS)]);

    const byMs = await followClock(db);
    assert.ok(Math.abs(byMs - HOUR_MS) < 2_000, `${byMs} ms`);
    const near = (actual: Record<string, number>, expected: Record<string, number>): void => {
      for (const [name, value] of Object.entries(expected)) {
        assert.ok(
          Math.abs((actual[name] ?? Infinity) - value) <= 2,
          `${name}: ${actual[name]}, not ${value}`,
        );
      }
    };
    const submission = (id: number | undefined): string => `vidbatch.submission where id = ${id}`;
    near(
      await seconds(
        db,
        'throttled_until throttled_since',
        `vidbatch.provider where origin = '${made.origin}'`,
      ),
      { throttled_until: 7, throttled_since: 0 },
    );
    near(await seconds(db, 'next_slot', `vidbatch.quota where origin = '${made.origin}'`), { next_slot: 2 });
    near(await seconds(db, 'deadline', submission(flying)), { deadline: 9 });
    near(await seconds(db, 'updated_at not_before', submission(waiting)), { updated_at: 0, not_before: 30 });
    near(await seconds(db, 'not_before', submission(chosen)), { not_before: 7200 });
    near(await seconds(db, 'not_before', submission(due)), { not_before: -3600 });
    near(await seconds(db, 'seen_at', `vidbatch.feeder where queue = 'dead'`), { seen_at: 0 });
    assert.equal(await followClock(db), 0);
  });

  const meanwhile: Record<string, (db: Queryable) => Promise<void>> = {
    'every feeder had left': (db) => leaveFeeder(db, 'mine'),
    'every feeder had left, and somebody had looked into the folder': async (db) => {
      await leaveFeeder(db, 'mine');
      await forgetFeeders(db);
    },
  };
  for (const [name, leave] of Object.entries(meanwhile)) {
    test(`a clock that is set back is followed, too, when ${name}`, async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await db.query('delete from vidbatch.feeder');
      await keepFeeder(db, 'mine');
      await leave(db);
      assert.equal(await followClock(db), 0);
      await db.query(`update vidbatch.feeder set seen_at = seen_at + interval '1 h'`);
      await db.query(
        `insert into vidbatch.quota (origin, model, next_slot) values ($1, '', now() + interval '1 h')`,
        [made.origin],
      );
      await keepFeeder(db, 'another');
      assert.ok(Math.abs((await followClock(db)) - HOUR_MS) < 35_000);
      const { next_slot } = await seconds(db, 'next_slot', `vidbatch.quota where origin = '${made.origin}'`);
      assert.ok((next_slot ?? Infinity) < 35, `${next_slot} s`);
    });
  }

  test('a feeder that says it was seen does not hide that the clock was set back', async () => {
    const { db } = storage();
    await db.query('delete from vidbatch.feeder');
    await keepFeeder(db, 'mine');
    await db.query(`update vidbatch.feeder set seen_at = now() + interval '1 h'`);
    await keepFeeder(db, 'mine');
    assert.ok((await followClock(db)) > 0);
  });

  test('an attempt claimed after the clock was set back keeps its deadline', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    await claimAll(db, made, made.rows);
    await keepFeeder(db, 'mine');
    await db.query(`update vidbatch.feeder set seen_at = now() + interval '1 h'`);
    assert.ok((await followClock(db)) > 0);
    const { deadline } = await seconds(db, 'deadline', `vidbatch.submission where id = ${made.rows[0]}`);
    assert.ok((deadline ?? 0) > 50, `${deadline}`);
  });
});
