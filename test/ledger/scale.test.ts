import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workLeft } from '../../src/ledger/send/left.ts';
import { followClock } from '../../src/ledger/send/clock.ts';
import type { Database, QueryResult } from '../../src/database/database.ts';
import { feed, keepLane, queuedSince } from '../../src/ledger/send/feed.ts';
import { makeRoom, takeTurns, withdraw } from '../../src/ledger/send/withdrawal.ts';
import { readStanding } from '../../src/ledger/read/tally.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window.ts';
import { makeBatch, only, windowAt } from '../contract/rows.ts';
import type { Made } from '../contract/rows.ts';
import { onEvery } from '../contract/storages.ts';

const [FEW, MANY] = [1_000, 20_000];

interface Plan {
  Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number };
}

/** How many pages the statements of `work` look at, all together. */
async function pagesOf(db: Database, work: (db: Database) => Promise<unknown>): Promise<number> {
  let pages = 0;
  await work({
    ...db,
    async query<Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
      const explained = await db.query<{ 'QUERY PLAN': [Plan] }>(
        `explain (analyze, buffers, format json) ${text}`,
        params,
      );
      const plan = only(explained.rows)['QUERY PLAN'][0].Plan;
      pages += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      return { rows: [] };
    },
  });
  return pages;
}

/** A batch that is nearly over, as the ledger knew it when it began: the statistics are of that time. */
async function nearlyOver(db: Database, rows: number): Promise<Made> {
  const made = await makeBatch(db, { rows });
  await db.query('analyze vidbatch.submission');
  await db.query(
    `update vidbatch.submission set previous = 'submitting', state = 'submitted', task_id = 'task_' || id
      where batch_id = $1 and line <= $2`,
    [made.id, rows - 20],
  );
  // What autovacuum does now and then.
  await db.query('vacuum vidbatch.submission');
  return made;
}

/** A batch of rows that wait for their window, but for the last twenty, which may be sent. */
async function nearlyShut(db: Database, rows: number): Promise<Made> {
  const made = await makeBatch(db, { rows, model: 'viduq3t-720p-offpeak' });
  await db.query(`update vidbatch.submission set model = 'viduq3p-720p' where batch_id = $1 and line > $2`, [
    made.id,
    rows - 20,
  ]);
  await db.query('vacuum analyze vidbatch.submission');
  return made;
}

/** A batch of rows of random priorities; those of the highest twenty wait for a time of their own. */
async function mixed(db: Database, rows: number): Promise<Made> {
  // Of each batch every level costs a look: only this one counts.
  await db.query(
    `update vidbatch.submission set previous = state, state = 'cancelled', lane = null where state = 'pending'`,
  );
  const made = await makeBatch(db, { rows });
  await db.query(
    `update vidbatch.submission
        set priority = n.p, not_before = case when n.p > 80 then now() + interval '3 h' else '-infinity' end
       from (select id, (hashint8(id) % 101)::smallint as p from vidbatch.submission where batch_id = $1) n
      where n.id = submission.id`,
    [made.id],
  );
  await db.query('vacuum analyze vidbatch.submission');
  return made;
}

onEvery(['postgres'], (storage) => {
  const looks: Record<string, (db: Database, made: Made) => Promise<unknown>> = {
    'feeding the queue': (db, { origin }) => feed(db, { lane: 'scale', origin, batches: null }, 10),
    'asking whether there is work left': (db, { origin }) => workLeft(db, origin, null),
    'following the clock': (db) => followClock(db),
    'freeing the rows of dead lanes': (db) => keepLane(db, 'scale'),
    'letting pass what ranks higher': (db, { origin }) =>
      makeRoom(db, { lane: 'scale', origin, batches: null }, { depth: 10, room: 0 }),
    'looking for lost jobs': (db) => queuedSince(db, 'scale', 0),
    'looking for rows whose window has shut': (db) => withdraw(db, 'scale'),
    'saying how things stand': (db) => readStanding(db),
  };

  async function assertCheap(make: (db: Database, rows: number) => Promise<Made>): Promise<void> {
    const { db } = storage();
    const pages: Record<string, number[]> = {};
    for (const rows of [FEW, MANY]) {
      const made = await make(db, rows);
      for (const [name, look] of Object.entries(looks)) {
        (pages[name] ??= []).push(await pagesOf(db, (explained) => look(explained, made)));
      }
    }
    for (const [name, [few = 0, many = 0]] of Object.entries(pages)) {
      assert.ok(many <= few * 2 + 50, `${name}: ${few} pages beside ${FEW} rows, ${many} beside ${MANY}`);
    }
  }

  test('what workers ask all the time costs no more for the rows that are done', () =>
    assertCheap(nearlyOver));

  test('nor for the many priorities of those that wait', () => assertCheap(mixed));

  test('nor for those that wait for their window', async () => {
    const { db } = storage();
    await setOffPeakWindow(db, await windowAt(db, [3_600_000, 7_200_000]));
    await assertCheap(nearlyShut);
  });

  test('of a batch that is over, asking whether there is work left looks at its index once', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db, { rows: 1 });
    const pages = (): Promise<number> => pagesOf(db, (explained) => workLeft(explained, origin, null));
    const alone = await pages();
    await db.query(
      `insert into vidbatch.batch (name, source, key_scheme, format, origin, proven)
       select 'over-' || n, '/nowhere.jsonl', 'id', 'jsonl', $1, true from generate_series(1, 500) n`,
      [origin],
    );
    const beside = await pages();
    // Two pages of the index each, and the batches themselves.
    assert.ok(beside < alone + 500 * 3 + 50, `${alone} pages alone, ${beside} beside 500 batches`);
  });

  test('where nobody has a priority and few rows are queued, none of the batches is looked at', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db, { rows: 2 });
    const scope = { lane: 'idle', origin, batches: null };
    const pages = (): Promise<number> =>
      pagesOf(db, async (explained) => {
        await makeRoom(explained, scope, { depth: 10, room: 0 });
        await takeTurns(explained, scope, { keep: 3 });
      });
    const alone = await pages();
    for (let n = 0; n < 50; n += 1) await makeBatch(db, { rows: 2, origin });
    const beside = await pages();
    assert.ok(beside <= alone + 20, `${alone} pages alone, ${beside} beside 50 batches`);
  });

  test('and of those that wait, only until one is found that may be sent', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db, { rows: 2 });
    const pages = (): Promise<number> => pagesOf(db, (explained) => workLeft(explained, origin, null));
    const alone = await pages();
    for (let n = 0; n < 50; n += 1) await makeBatch(db, { rows: 2, origin });
    await db.query('vacuum analyze vidbatch.submission');
    const beside = await pages();
    assert.ok(beside < alone + 50 * 10, `${alone} pages alone, ${beside} beside 50 batches`);
  });
});
