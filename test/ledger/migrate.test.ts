import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openApp } from '../../src/worker/app.ts';
import { VidbatchError } from '../../src/core/errors.ts';
import type { Database } from '../../src/database/database.ts';
import { isMigrated, migrateLedger, migrations } from '../../src/ledger/migrate.ts';
import { STATES, type State } from '../../src/core/states.ts';
import { isLegal } from '../core/moves.ts';
import { makeBatch, only } from '../contract/rows.ts';
import { LEDGERS, onEvery, place } from '../contract/storages.ts';

/** Puts a row into `state`, whatever was there before. */
const ARRANGE = `
  update vidbatch.row_state
     set previous = $2, state = $3, task_id = case when $3 = 'submitted' then 't' end,
         attempt_id = gen_random_uuid(), deadline = now()
   where id = $1`;

/** The files of the project, in a folder to which a test may add another one. */
async function laterFiles(): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-migrations-'));
  await cp(new URL('../../src/ledger/migrations', import.meta.url), folder, { recursive: true });
  return pathToFileURL(`${folder}/`);
}

async function moves(db: Database, id: number, from: State | null, to: State): Promise<boolean> {
  try {
    await db.query(ARRANGE, [id, from, to]);
    return true;
  } catch (error) {
    assert.equal((error as { constraint?: string }).constraint, 'row_state_move', String(error));
    return false;
  }
}

test('migrations are numbered from 1 without a gap', async () => {
  const known = await migrations();
  assert.deepEqual(
    known.map(({ version }) => version),
    known.map((_, index) => index + 1),
  );
});

onEvery(LEDGERS, (storage) => {
  test('migrating again is a no-op', async () => {
    const { db, ledgerId } = storage();
    assert.deepEqual(await migrateLedger(db), []);
    assert.equal(await isMigrated(db), true);
    const { rows } = await db.query('select ledger_id from vidbatch.meta');
    assert.deepEqual(rows, [{ ledger_id: ledgerId }], 'the ledger keeps its id');
  });

  test('two processes at once migrate once', async () => {
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
    await db.query(
      `insert into vidbatch.migration (version, name, sha256) values (999, '999-later.sql', '')`,
    );
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

  test('a ledger of the numbered files from before the first release is refused, and left as it is', async () => {
    const { db, another } = storage();
    const read = async (): Promise<unknown> =>
      (await db.query('select version, name, applied_at from vidbatch.migration order by version')).rows;
    const kept = await read();
    await db.query(
      `begin; update vidbatch.migration set name = '001-ledger.sql';
       insert into vidbatch.migration (version, name, sha256) select n, n || '-more.sql', '' from generate_series(2, 12) n; commit`,
    );
    try {
      const old = await read();
      for (const open of [
        () => migrateLedger(db),
        () => isMigrated(db),
        () => another('reader'),
        () => another('writer'),
      ]) {
        await assert.rejects(open, (error) => {
          assert.ok(error instanceof VidbatchError, String(error));
          assert.equal(error.code, 'LEDGER_UNKNOWN');
          assert.match(error.message, /holds 001-ledger\.sql, but this vidbatch has 001-schema\.sql/);
          assert.match(error.hint ?? '', /Use the vidbatch that made it until all of its rows are done/);
          return true;
        });
      }
      assert.deepEqual(await read(), old);
    } finally {
      await db.query(
        `begin; update vidbatch.migration set name = '001-schema.sql' where version = 1;
         delete from vidbatch.migration where version > 1; commit`,
      );
    }
    assert.deepEqual(await read(), kept);
  });

  test('a ledger of another version of a file is refused, and left as it is', async (t) => {
    const { db, another } = storage();
    const edited = await laterFiles();
    t.after(() => rm(edited, { recursive: true }));
    const file = new URL('001-schema.sql', edited);
    const text = await readFile(file, 'utf8');
    const isRefused = (error: unknown): boolean => {
      assert.ok(error instanceof VidbatchError, String(error));
      assert.equal(error.code, 'LEDGER_UNKNOWN');
      assert.match(error.message, /holds another version of 001-schema\.sql than this vidbatch/);
      return true;
    };
    await writeFile(file, text.replaceAll('\n', '\r\n'));
    assert.deepEqual(await migrateLedger(db, edited), [], 'other line ends are no other version');
    await writeFile(file, `${text}alter table vidbatch.row_state add column later integer;\n`);
    await assert.rejects(migrateLedger(db, edited), isRefused);
    await assert.rejects(db.query('select later from vidbatch.row_state'), { code: '42703' });
    await db.query('alter table vidbatch.migration rename column sha256 to other');
    try {
      for (const open of [
        () => migrateLedger(db),
        () => isMigrated(db),
        () => another('reader'),
        () => another('writer'),
      ])
        await assert.rejects(open, isRefused, 'an older ledger has no hash');
    } finally {
      await db.query('alter table vidbatch.migration rename column other to sha256');
    }
    assert.equal(await isMigrated(db), true);
  });

  test('a later file is applied to a ledger with rows, once, and completely or not at all', async (t) => {
    const { db } = storage();
    const { rows: made } = await makeBatch(db);
    const later = await laterFiles();
    t.after(() => rm(later, { recursive: true }));
    const file = new URL('002-later.sql', later);
    const change = 'alter table vidbatch.row_state add column later integer not null default 7;';
    await writeFile(file, `${change} select nothing_of_that_name;`);
    await assert.rejects(migrateLedger(db, later), /nothing_of_that_name/);
    await assert.rejects(db.query('select later from vidbatch.row_state'), { code: '42703' });
    await writeFile(file, change);
    assert.deepEqual(await migrateLedger(db, later), ['002-later.sql']);
    assert.deepEqual(await migrateLedger(db, later), []);
    const { rows } = await db.query('select later from vidbatch.row_state where id = $1', [made[0]]);
    assert.deepEqual(rows, [{ later: 7 }]);
    await db.query(
      'begin; alter table vidbatch.row_state drop column later; delete from vidbatch.migration where version = 2; commit',
    );
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
        /row_state_task_id/,
        `previous = 'submitting', state = 'submitted'`,
      ],
      ['a task id on a row that is not submitted', /row_state_task_id/, `task_id = 't'`],
      ['a row in flight without a deadline', /in_flight/, `previous = 'pending', state = 'submitting'`],
      ['a pending row without its content', /sendable/, `content_hash = null`],
      ['a state that nobody knows', /row_state_(state|move)/, `previous = 'pending', state = 'paid'`],
    ];
    for (const [what, constraint, set] of broken) {
      test(`refuses ${what}`, async () => {
        const { db } = storage();
        const made = await makeBatch(db);
        await assert.rejects(
          db.query(`update vidbatch.row_state set ${set} where batch_id = $1`, [made.id]),
          constraint,
        );
      });
    }

    test('refuses an attempt with a part of an answer', async () => {
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
