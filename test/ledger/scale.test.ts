import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSendRate } from '../../src/ledger/batches.ts';
import { readRemainingWork } from '../../src/ledger/send/remaining-work.ts';
import { followClock } from '../../src/ledger/send/clock.ts';
import type { Database, QueryResult } from '../../src/database/database.ts';
import { readBlocked } from '../../src/ledger/send/blocked.ts';
import { claim, claimLocked } from '../../src/ledger/send/claim.ts';
import { readyBatches } from '../../src/ledger/send/ready.ts';
import { readOldestPending } from '../../src/ledger/read/backlog.ts';
import { readFailures } from '../../src/ledger/read/failures.ts';
import { readTrouble } from '../../src/ledger/read/trouble.ts';
import { readBudgetStatus } from '../../src/ledger/money/budget.ts';
import { readCosts } from '../../src/ledger/money/costs.ts';
import { readNumbers, readSpeed } from '../../src/ledger/read/batch-numbers.ts';
import { countWaiting } from '../../src/ledger/send/window.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window-change.ts';
import {
  keepDefaultProfile,
  makeBatch,
  only,
  scopeOf,
  windowAt,
  wishFor,
  type Made,
} from '../contract/rows.ts';
import { onEvery } from '../contract/storages.ts';

const [FEW, MANY] = [1_000, 20_000];

interface Plan {
  Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number };
}

/**
 * How many pages the statements of `work` look at, all together. They run in one session, and what only reads is run
 * before it is explained: a statement that is the first in its session also reads some hundred pages of the catalog.
 */
async function pagesOf(db: Database, work: (db: Database) => Promise<unknown>): Promise<number> {
  const session = await db.connect();
  let pages = 0;
  async function query<Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    // What writes does so while it is explained.
    const answer = /\b(?:insert|update)\b/.test(text) ? { rows: [] } : await session.query<Row>(text, params);
    const explained = await session.query<{ 'QUERY PLAN': [Plan] }>(
      `explain (analyze, buffers, format json) ${text}`,
      params,
    );
    const plan = only(explained.rows)['QUERY PLAN'][0].Plan;
    pages += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    return answer;
  }
  try {
    await work({ ...db, query });
  } finally {
    session.release();
  }
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
    'saying what needs a person': (db) => readTrouble(db),
    'saying how long the oldest row has waited': (db) => readOldestPending(db),
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

  test('what pages and sums tell of a batch costs no more when it has many rows', async () => {
    const { db } = storage();
    const reads: Record<string, (db: Database, id: number) => Promise<unknown>> = {
      'counting its rows': (explained, id) => readNumbers(explained, id, { reasons: false }),
      'summing what it cost': (explained, batchId) =>
        readCosts(explained, { batchId, since: null, by: ['batch', 'model'], zone: 'UTC' }),
      'adding up its budget': readBudgetStatus,
      'asking what its rows wait for': countWaiting,
      'asking for its speed': readSpeed,
    };
    const pages: Record<string, number[]> = {};
    for (const rows of [FEW, MANY]) {
      const { id } = await makeBatch(db, { rows, price: 2.2, budget: 1000 });
      await db.query(
        `update vidbatch.row_state set previous = 'submitting', state = 'submitted', task_id = 'task_' || id, submitted_at = now()
          where batch_id = $1 and id % 2 = 0`,
        [id],
      );
      await db.query(
        `update vidbatch.row_state set provider_status = case when id % 4 = 0 then 'completed' else 'failed' end
          where batch_id = $1 and state = 'submitted'`,
        [id],
      );
      await db.query(
        `insert into vidbatch.task (submission_id, task_id, batch_id, origin, surplus, accepted_at, status, finished_at)
         select id, task_id, batch_id, 'https://a.example', false, now(), provider_status, now() - interval '2 days'
           from vidbatch.row_state where batch_id = $1 and state = 'submitted'`,
        [id],
      );
      await db.query(`update vidbatch.row_count set at = now() - interval '1 hour'`);
      await vacuum(db);
      for (const table of ['row_state', 'row_count', 'task'])
        await db.query(`vacuum analyze vidbatch.${table}`);
      for (const [name, read] of Object.entries(reads)) {
        (pages[name] ??= []).push(await pagesOf(db, (explained) => read(explained, id)));
      }
    }
    for (const [name, [few = 0, many = 0]] of Object.entries(pages)) {
      assert.ok(many <= few * 2 + 50, `${name}: ${few} pages beside ${FEW} rows, ${many} beside ${MANY}`);
    }
  });

  test('failures are grouped by what their indexes hold, and their rows and tasks are not read', async () => {
    const { db } = storage();
    const { id } = await makeBatch(db, { rows: MANY });
    await db.query(
      `update vidbatch.row_state set previous = 'submitting', state = 'rejected', error_code = 'HTTP_400', error = 'no'
        where batch_id = $1 and id % 2 = 0`,
      [id],
    );
    await db.query(
      `insert into vidbatch.task (submission_id, task_id, batch_id, model, origin, surplus, accepted_at, status, fail_reason,
                                  finished_at)
       select id, 'task_' || id, batch_id, model, 'https://a.example', false, now(), 'failed', 'no luck', now()
         from vidbatch.row_state where batch_id = $1 and id % 2 = 1`,
      [id],
    );
    await vacuum(db);
    for (const table of ['row_state', 'task']) await db.query(`vacuum analyze vidbatch.${table}`);
    const { rows } = await db.query<{ pages: number }>(
      `select sum(relpages)::int as pages from pg_class
        where oid in ('vidbatch.row_state'::regclass, 'vidbatch.task'::regclass)`,
    );
    const pages = await pagesOf(db, (explained) => readFailures(explained, { batchId: id, since: null }));
    assert.ok(pages < only(rows).pages / 2, `${pages} pages, of tables with ${only(rows).pages}`);
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
