import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSendRate } from '../../src/ledger/batches.ts';
import { readRemainingWork } from '../../src/ledger/send/remaining-work.ts';
import { followClock } from '../../src/ledger/send/clock.ts';
import type { Database, QueryResult } from '../../src/database/database.ts';
import { readBlocked } from '../../src/ledger/send/blocked.ts';
import { claim, claimLocked } from '../../src/ledger/send/claim.ts';
import { readyBatches } from '../../src/ledger/send/ready.ts';
import { readAlerts } from '../../src/ledger/read/alerts.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window-change.ts';
import { keepDefaultProfile, makeBatch, only, scopeOf, windowAt, wishFor } from '../contract/rows.ts';
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
      // What writes has written while it was explained.
      return /\b(?:insert|update)\b/.test(text) ? { rows: [] } : db.query<Row>(text, params);
    },
  });
  return pages;
}

/**
 * Vacuums until every page is marked: an index-only scan reads those that are not. A snapshot that is open elsewhere, as
 * that of an autovacuum, keeps a vacuum from marking what was written after it; and few dead rows are left in the indexes
 * unless it is told to clean them.
 */
async function vacuum(db: Database): Promise<void> {
  for (;;) {
    await db.query('vacuum (index_cleanup on) vidbatch.row_state');
    const { rows } = await db.query<{ done: boolean }>(
      `select relallvisible >= relpages as done from pg_class where oid = 'vidbatch.row_state'::regclass`,
    );
    if (only(rows).done) return;
  }
}

/** A batch that is nearly over, as the ledger knew it when it began: the statistics are of that time. */
async function nearlyOver(db: Database, rows: number): Promise<Made> {
  const made = await makeBatch(db, { rows });
  await db.query('alter table vidbatch.row_state set (autovacuum_enabled = off)');
  await db.query('analyze vidbatch.row_state');
  await db.query(
    `update vidbatch.row_state set previous = 'submitting', state = 'submitted', task_id = 'task_' || id
      where id in (select id from vidbatch.row where batch_id = $1 and line <= $2)`,
    [made.id, rows - 20],
  );
  // What autovacuum does now and then.
  await vacuum(db);
  return made;
}

/** A batch of rows that wait for their window, but for the last twenty, which may be sent. */
async function nearlyShut(db: Database, rows: number): Promise<Made> {
  const made = await makeBatch(db, { rows, model: 'viduq3t-720p-offpeak' });
  await db.query(
    `update vidbatch.row_state set model = 'viduq3p-720p' where id in (select id from vidbatch.row where batch_id = $1 and line > $2)`,
    [made.id, rows - 20],
  );
  await vacuum(db);
  await db.query('analyze vidbatch.row_state');
  return made;
}

/** A batch of rows of random priorities; those of the highest twenty wait for a time of their own. */
async function mixed(db: Database, rows: number): Promise<Made> {
  // Of each batch every level costs a look: only this one counts.
  await db.query(
    `update vidbatch.row_state set previous = state, state = 'cancelled' where state = 'pending'`,
  );
  const made = await makeBatch(db, { rows });
  await db.query(
    `update vidbatch.row_state
        set priority = n.p, not_before = case when n.p > 80 then now() + interval '3 h' else '-infinity' end
       from (select id, (hashint8(id) % 101)::smallint as p from vidbatch.row_state where batch_id = $1) n
      where n.id = row_state.id`,
    [made.id],
  );
  await vacuum(db);
  await db.query('analyze vidbatch.row_state');
  return made;
}

onEvery(['postgres'], (storage) => {
  const looks: Record<string, (db: Database, made: Made) => Promise<unknown>> = {
    'looking for batches that have rows to send': (db, { origin }) =>
      readyBatches(db, { origin, batches: null }, { most: 50, rows: 10 }),
    'claiming rows': (db, made) => claim(db, scopeOf(made), wishFor(made.id, 5)),
    'claiming rows with the batch locked': (db, made) => claimLocked(db, scopeOf(made), wishFor(made.id, 5)),
    'asking why no row was claimed': (db, made) => readBlocked(db, scopeOf(made), made.id),
    'asking whether there is work left': (db, { origin }) => readRemainingWork(db, origin, null),
    'following the clock': (db) => followClock(db),
    'saying how things stand': (db) => readAlerts(db),
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

  test('the queries of workers cost no more when many rows are done', () => assertCheap(nearlyOver));

  test('nor when pending rows have many priorities', () => assertCheap(mixed));

  test('nor when rows wait for their window', async () => {
    const { db } = storage();
    await setOffPeakWindow(db, await windowAt(db, [3_600_000, 7_200_000]));
    await assertCheap(nearlyShut);
  });

  test('whether there is work left reads two index entries for a batch that is over', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db, { rows: 1 });
    const pages = (): Promise<number> =>
      pagesOf(db, (explained) => readRemainingWork(explained, origin, null));
    const alone = await pages();
    await db.query(
      `insert into vidbatch.batch (name, source, key_scheme, format, origin, proven, profile_id)
       select 'over-' || n, '/nowhere.jsonl', 'id', 'jsonl', $1, true, $2 from generate_series(1, 500) n`,
      [origin, await keepDefaultProfile(db)],
    );
    const beside = await pages();
    // Two pages of each index, and the batches themselves.
    assert.ok(beside < alone + 500 * 5 + 50, `${alone} pages alone, ${beside} beside 500 batches`);
  });

  test('and stops at the first row that may be sent', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db, { rows: 2 });
    for (let n = 0; n < 50; n += 1) await makeBatch(db, { rows: 2, origin });
    async function pages(): Promise<number> {
      await vacuum(db);
      await db.query('analyze vidbatch.row_state');
      return pagesOf(db, (explained) => readRemainingWork(explained, origin, null));
    }
    const found = await pages();
    await db.query(
      `update vidbatch.row_state set not_before = now() + interval '3 h' where state = 'pending'`,
    );
    const none = await pages();
    assert.ok(found + 50 * 4 < none, `${found} pages with rows to send, ${none} with none in 51 batches`);
  });

  test('the speed of a batch is found in one or two passes with any statistics', async () => {
    const { db } = storage();
    const { id } = await makeBatch(db, { rows: 5 });
    await db.query('analyze vidbatch.row_state');
    const rows = 2_000;
    const { id: large } = await makeBatch(db, { rows });
    await db.query(
      `update vidbatch.row_state set previous = 'submitting', state = 'submitted', task_id = 'task_' || id, submitted_at = now()
        where batch_id = any($1::bigint[])`,
      [[id, large]],
    );
    const pages = await pagesOf(db, (explained) => readSendRate(explained, large));
    assert.ok(pages < rows * 10, `${pages} pages for ${rows} rows`);
  });
});
