import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { openApp } from '../../src/worker/app.ts';
import { VidbatchError } from '../../src/core/errors.ts';
import type { Database } from '../../src/database/database.ts';
import { isMigrated, migrateLedger, migrations } from '../../src/ledger/migrate.ts';
import { isLegal, STATES } from '../../src/core/submission.ts';
import type { State } from '../../src/core/submission.ts';
import { makeBatch, only } from '../contract/rows.ts';
import { LEDGERS, onEvery, place } from '../contract/storages.ts';

/** Puts a row into `state`, whatever was there before. */
const ARRANGE = `
  update vidbatch.submission
     set previous = $2, state = $3, task_id = case when $3 = 'submitted' then 't' end,
         attempt_id = gen_random_uuid(), deadline = now(), lane = null
   where id = $1`;

async function moves(db: Database, id: number, from: State | null, to: State): Promise<boolean> {
  try {
    await db.query(ARRANGE, [id, from, to]);
    return true;
  } catch (error) {
    assert.equal((error as { constraint?: string }).constraint, 'submission_move', String(error));
    return false;
  }
}

onEvery(LEDGERS, (storage) => {
  test('migrating again is a no-op', async () => {
    const { db, ledgerId } = storage();
    assert.deepEqual(await migrateLedger(db), []);
    assert.equal(await isMigrated(db), true);
    const { rows } = await db.query('select ledger_id from vidbatch.meta');
    assert.deepEqual(rows, [{ ledger_id: ledgerId }], 'the ledger keeps its id');
  });

  test('two at once migrate once', async () => {
    const { db, another } = storage();
    const other = await another();
    const latest = (await migrations()).at(-1)?.version ?? 0;
    await db.query('drop schema vidbatch cascade');
    assert.equal(await isMigrated(db), false);
    const applied = await Promise.all([migrateLedger(db), migrateLedger(other.db), migrateLedger(db)]);
    assert.deepEqual(
      applied.flat(),
      (await migrations()).map(({ name }) => name),
    );
    const { rows } = await db.query<{ version: number }>(
      'select max(version) as version from vidbatch.migration',
    );
    assert.equal(only(rows).version, latest);
    assert.equal((await db.query('select from vidbatch.meta')).rows.length, 1);
    await other.close();
  });

  test('a ledger of a newer vidbatch is refused, and left as it is', async () => {
    const { db } = storage();
    await db.query(`insert into vidbatch.migration (version, name) values (999, '999-later.sql')`);
    try {
      await assert.rejects(
        migrateLedger(db),
        (error) =>
          error instanceof VidbatchError &&
          error.code === 'LEDGER_TOO_NEW' &&
          error.message.includes('at migration 999'),
      );
    } finally {
      await db.query('delete from vidbatch.migration where version = 999');
    }
  });

  describe('the schema itself', () => {
    test('refuses every illegal move, and no legal one', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const [id = 0] = made.rows;
      for (const from of STATES) {
        for (const to of STATES) {
          assert.equal(await moves(db, id, from, to), isLegal(from, to), `${from} → ${to}`);
        }
      }
    });

    test('lets a row begin as pending or invalid only', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      for (const state of STATES) {
        const begun = await moves(db, made.rows[0] ?? 0, null, state);
        assert.equal(begun, state === 'pending' || state === 'invalid', state);
      }
    });

    const broken: [what: string, constraint: RegExp, set: string][] = [
      [
        'a submitted row without a task id',
        /submission_task_id/,
        `previous = 'submitting', state = 'submitted'`,
      ],
      ['a task id on a row that is not submitted', /submission_task_id/, `task_id = 't'`],
      ['a row in flight without a deadline', /in_flight/, `previous = 'pending', state = 'submitting'`],
      ['a pending row without a request', /sendable/, `request = null`],
      [
        'a finished row in a lane',
        /submission_lane/,
        `previous = 'pending', state = 'cancelled', lane = 'l'`,
      ],
      ['a state that nobody knows', /submission_(state|move)/, `previous = 'pending', state = 'paid'`],
    ];
    for (const [what, constraint, set] of broken) {
      test(`refuses ${what}`, async () => {
        const { db } = storage();
        const made = await makeBatch(db);
        await assert.rejects(
          db.query(`update vidbatch.submission set ${set} where batch_id = $1`, [made.id]),
          constraint,
        );
      });
    }

    test('refuses an attempt whose answer is half there', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const insert = (columns: string, values: string): Promise<unknown> =>
        db.query(
          `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, deadline, ${columns})
           values (gen_random_uuid(), $1, 1, 'w', 'o', 0, now(), ${values})`,
          [made.rows[0]],
        );
      await assert.rejects(insert('outcome, finished_at', `'accepted', now()`), { code: '23514' });
      await assert.rejects(insert('outcome, finished_at, task_id', `'rejected', now(), 't'`), {
        code: '23514',
      });
      await assert.rejects(insert('outcome', `'rejected'`), { code: '23514' });
      await assert.rejects(insert('outcome, finished_at, surplus', `'rejected', now(), true`), {
        code: '23514',
      });
      await assert.rejects(insert('outcome, finished_at', `'lost', now()`), { code: '23514' });
      await insert('outcome, finished_at', `'rejected', now()`);
    });
  });
});

describe('a ledger from before tasks were asked for by themselves', () => {
  test('keeps what was heard of them, and asks for those that are open', async () => {
    const { config, remove } = await place('postgres');
    const app = await openApp(config, 'worker');
    const { db } = app;
    try {
      await db.query('drop schema vidbatch cascade');
      const session = await db.connect();
      for (const { name, version } of await migrations()) {
        if (version === 1) {
          await session.query('create schema vidbatch');
          await session.query(
            'create table vidbatch.migration (version int primary key, name text not null)',
          );
        }
        if (version > 4) continue;
        const file = new URL(`../../src/ledger/migrations/${name}`, import.meta.url);
        await session.query(await readFile(file, 'utf8'));
        await session.query('insert into vidbatch.migration values ($1, $2)', [version, name]);
      }
      session.release();
      const { rows, origin } = await makeBatch(db, { rows: 4 });
      const [open = 0, done = 0, failed = 0, unasked = 0] = rows;
      const were: [number, string, string][] = [
        [open, 'in_progress', 'now()'],
        [done, 'completed', 'now()'],
        [failed, 'failed', 'now()'],
        [unasked, 'queued', 'null'],
      ];
      for (const [id, status, polledAt] of were) {
        await db.query(
          `update vidbatch.submission
              set previous = 'uncertain', state = 'submitted', task_id = 'task_' || id, submitted_at = now(),
                  provider_status = $2, polled_at = ${polledAt}, progress = 50, result_url = 'https://r.example',
                  error = case when $2 = 'failed' then 'too dark' end
            where id = $1`,
          [id, status],
        );
      }
      assert.ok((await migrateLedger(db)).includes('005-task.sql'));
      const { rows: tasks } = await db.query(
        `select submission_id as id, status, origin, progress, fail_reason, finished_at is null as going,
                due_at is not null as due
           from vidbatch.task order by submission_id`,
      );
      const known = { origin, progress: 50, fail_reason: null };
      assert.deepEqual(tasks, [
        { ...known, id: open, status: 'in_progress', going: true, due: true },
        { ...known, id: done, status: 'completed', going: false, due: false },
        { ...known, id: failed, status: 'failed', fail_reason: 'too dark', going: false, due: false },
      ]);
    } finally {
      await app.close();
      await remove();
    }
  });
});

describe('an empty server', () => {
  const closers: (() => Promise<void>)[] = [];
  after(async () => {
    for (const close of closers.toReversed()) await close();
  });

  test('may be opened by two processes at once, ledger and queue', async () => {
    const { config, remove } = await place('postgres');
    closers.push(remove);
    const apps = await Promise.all([
      openApp(config, 'worker'),
      openApp(config, 'writer'),
      openApp(config, 'worker'),
    ]);
    for (const app of apps) closers.push(() => app.close());
    assert.equal(new Set(apps.map(({ ledgerId }) => ledgerId)).size, 1);
  });

  test('has no ledger for a reader', async () => {
    const { config, remove } = await place('postgres');
    closers.push(remove);
    await assert.rejects(openApp(config, 'reader'), (error) => (error as VidbatchError).code === 'NO_LEDGER');
  });
});
