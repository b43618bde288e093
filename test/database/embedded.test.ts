import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chownSync, existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { VidbatchError } from '../../src/core/errors.ts';
import { transaction } from '../../src/database/database.ts';
import { openEmbedded, type EmbeddedDatabase } from '../../src/database/embedded.ts';
import { startChild } from './child.ts';
import { assertContract } from './contract.ts';
import { assertQueueWorks } from './queue.ts';
import { copyTemplate } from '../servers.ts';

let root: string;
let dir: string;
let db: EmbeddedDatabase;

// Making a database takes seconds: all tests share one, and run in order.
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'vidbatch-embedded-'));
  dir = join(root, 'database');
  // As if an earlier start had been killed while it made the files.
  await mkdir(`${dir}.unfinished-aB3xY9`);
  await writeFile(join(`${dir}.unfinished-aB3xY9`, 'PG_VERSION'), '');
  await mkdir(`${dir}.unfinished-kept`);
  db = await openEmbedded(dir);
  await db.query('create schema vidbatch; create table vidbatch.note (id int primary key, body text)');
});

after(async () => {
  await db.end();
  await rm(root, { recursive: true });
});

async function notes(): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>('select id from vidbatch.note order by id');
  return rows.map(({ id }) => id);
}

const insert = 'insert into vidbatch.note values ($1, $2)';

test('the files of a killed first start are removed, and no files with another name', async () => {
  assert.deepEqual((await readdir(root)).sort(), ['database', 'database.unfinished-kept']);
});

describe('the mutex of the one session', () => {
  before(() => db.query('truncate vidbatch.note'));

  test('a write of the pool is not lost in the rollback of a session', async () => {
    const ledger = await db.connect();
    await ledger.query('BEGIN');
    await ledger.query(insert, [1, 'of the ledger']);
    const order: string[] = [];
    const queued = db.query(insert, [2, 'of the queue']).then(() => order.push('written'));
    await ledger.query('select 1');
    order.push('rolled back');
    await ledger.query('ROLLBACK');
    await queued;
    ledger.release();
    assert.deepEqual(order, ['rolled back', 'written'], 'acknowledged only after the rollback');
    assert.deepEqual(await notes(), [2]);
  });

  test('transactions wait for each other, first come, first served', async () => {
    await db.query('truncate vidbatch.note');
    const order: number[] = [];
    const one = (id: number): Promise<void> =>
      transaction(db, async (session) => {
        const { rows } = await session.query<{ n: number }>('select count(*) as n from vidbatch.note');
        assert.equal(rows[0]?.n, order.length, 'no other transaction is open');
        await session.query(insert, [id, '']);
        order.push(id);
      });
    await Promise.all([1, 2, 3, 4, 5].map(one));
    assert.deepEqual(order, [1, 2, 3, 4, 5]);
  });

  test('a failed statement leaves the transaction aborted until COMMIT or ROLLBACK', async () => {
    for (const end of ['rollback', 'ABORT', 'commit', 'end', '/* so */ Commit;']) {
      const session = await db.connect();
      await session.query('start transaction');
      await session.query(insert, [50, '']);
      await assert.rejects(session.query('select 1/0'), { code: '22012' });
      await assert.rejects(session.query('select 1'), { code: '25P02' });
      await session.query(end);
      assert.deepEqual(await notes(), [1, 2, 3, 4, 5], 'the mutex is free, and nothing was kept');
      session.release();
    }
  });

  test('a failed commit releases the mutex', async () => {
    await db.query(
      'create table vidbatch.late (id int unique deferrable initially deferred); insert into vidbatch.late values (1)',
    );
    const session = await db.connect();
    await session.query('begin');
    await session.query('insert into vidbatch.late values (1)');
    await assert.rejects(session.query('commit'), { code: '23505' });
    assert.equal((await db.query('select * from vidbatch.late')).rowCount, 1);
    session.release();
  });

  test('a session that is released in a transaction is rolled back', async () => {
    for (const destroy of [false, true]) {
      const session = await db.connect();
      await session.query('begin');
      await session.query(insert, [60, '']);
      session.release(destroy);
      session.release();
      assert.deepEqual(await notes(), [1, 2, 3, 4, 5]);
      await assert.rejects(session.query('select 1'), /after it was released/);
    }
  });

  test('a transaction begun on the pool is refused and rolled back', async () => {
    const refused = (error: unknown): boolean =>
      error instanceof VidbatchError && error.code === 'SESSION_NEEDED';
    await assert.rejects(db.query('begin'), refused);
    await assert.rejects(db.query("begin; insert into vidbatch.note values (70, '')"), refused);
    await assert.rejects(db.query('begin; select 1/0'), { code: '22012' });
    await assert.rejects(db.query('listen x'), refused);
    assert.deepEqual(await notes(), [1, 2, 3, 4, 5]);
    await db.query("begin; insert into vidbatch.note values (6, ''); commit");
    assert.deepEqual(await notes(), [1, 2, 3, 4, 5, 6], 'a whole one is fine');
  });

  test('timers and sockets run between two statements', async () => {
    let turned = false;
    setImmediate(() => (turned = true));
    await db.query('select 1');
    await db.query('select 1');
    assert.ok(turned);
  });
});

describe('statements', () => {
  test('give the values of the contract', () => assertContract(db));

  test('a text of several statements runs without parameters, but not with them', async () => {
    const { rows } = await db.query(
      "create table vidbatch.m (id int); -- ; \n select ';' as x; select 2 as y",
    );
    assert.deepEqual(rows, [{ y: 2 }]);
    await assert.rejects(db.query('select 1; select $1', ['x']), { code: '42601' });
    assert.deepEqual((await db.query('')).rows, []);
  });

  test('errors have a code, a constraint and a detail', async () => {
    await assert.rejects(db.query(insert, [1, '']), {
      code: '23505',
      constraint: 'note_pkey',
      detail: 'Key (id)=(1) already exists.',
      message: 'duplicate key value violates unique constraint "note_pkey"',
    });
    await assert.rejects(db.query('select $1::int', ['a']), { code: '22P02' });
    await assert.rejects(db.query('select $1::text', ['\0']), { code: '22021' });
    assert.equal((await db.query('select 1')).rowCount, 1, 'and the next statement is not disturbed');
  });

  test('any text comes back as it was sent, alone and in an array', async () => {
    const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(text)), text, async (array, alone) => {
        const { rows } = await db.query('select $1::text[] as many, $2::text as alone', [array, alone]);
        assert.deepEqual(rows, [{ many: array, alone }]);
      }),
      { numRuns: 40, examples: [[['"', '\\', '{}', ',', 'NULL', '', null, '提示词', "'", '\\"}'], '😀']] },
    );
  });

  test('a lone surrogate becomes the replacement character and breaks nothing', async () => {
    const { rows } = await db.query('select $1::text as x, $2::text as y', ['é\udc00', '\ud800']);
    assert.deepEqual(rows, [{ x: 'é\ufffd', y: '\ufffd' }]);
  });

  test('ten megabytes are written and read', async () => {
    const { rows } = await db.query<{ x: string }>('select $1::text as x', ['ü'.repeat(5_000_000)]);
    assert.equal(rows[0]?.x.length, 5_000_000);
  });
});

describe('notifications', () => {
  test('reach the sessions that listen to the channel, which do not hold the mutex', async () => {
    const [listener, other] = await Promise.all([db.connect(), db.connect()]);
    await listener.query('-- a comment first\nLISTEN Jobs;\n');
    await other.query('listen "other ""one"""');
    const heard: unknown[] = [];
    other.on('notification', (notification) => heard.push(notification));
    const first = once(listener, 'notification');
    await db.query("select pg_notify('jobs', $1)", ['one']);
    assert.deepEqual(await first, [{ channel: 'jobs', payload: 'one' }]);
    const second = once(other, 'notification');
    await db.query(`notify "other ""one""", 'two'`);
    assert.deepEqual(await second, [{ channel: 'other "one"', payload: 'two' }]);
    assert.equal(heard.length, 1, 'and no other channel');

    await other.query('listen jobs');
    await other.query('unlisten *');
    const third = once(listener, 'notification');
    await transaction(db, (session) => session.query("notify jobs, 'three'"));
    assert.deepEqual(await third, [{ channel: 'jobs', payload: 'three' }]);
    assert.equal(heard.length, 1);
    listener.release();
    other.release();
  });
});

test('BullMQ works beside a ledger that keeps rolling back', async () => {
  await assertQueueWorks(db, { name: 'embedded', jobs: 190, delayed: 10 }, (session, i) =>
    session.query(insert, [1000 + i, 'rolled back']),
  );
  assert.deepEqual(await notes(), [1, 2, 3, 4, 5, 6]);
});

test('upkeep vacuums tables with many dead rows, checkpoints a long log, and then rests', async () => {
  await db.query('create table vidbatch.big (id int primary key, body text)');
  await db.query(
    'insert into vidbatch.big select g, repeat(md5(g::text), 60) from generate_series(1, 20000) g',
  );
  await db.query("update vidbatch.big set body = body || '!'");
  await db.query('select pg_stat_force_next_flush()');
  const done = await db.upkeep();
  assert.ok(done !== undefined);
  assert.ok(done.vacuumed.includes('vidbatch.big'));
  assert.ok(done.checkpointed);
  assert.equal(await db.upkeep(), undefined);
});

describe('the end', () => {
  test('rejects waiting and later queries, and rolls back open transactions', async () => {
    const session = await db.connect();
    await session.query('begin');
    await session.query(insert, [80, '']);
    const running = session.query(insert, [81, '']);
    const waiting = assert.rejects(db.query('select 1'), /Cannot use a pool after calling end on the pool/);
    await running;
    const ended = db.end();
    await Promise.all([waiting, ended, db.end()]);
    await assert.rejects(db.query('select 1'), /Cannot use a pool after calling end on the pool/);
    await assert.rejects(db.connect(), /Cannot use a pool after calling end on the pool/);
    await assert.rejects(session.query('commit'), /Cannot use a pool after calling end on the pool/);
    session.release();

    db = await openEmbedded(dir);
    assert.deepEqual(await notes(), [1, 2, 3, 4, 5, 6]);
    await db.end();
  });

  test('by kill -9 loses no acknowledged row', async () => {
    const child = startChild(`
      const { openEmbedded } = await import(src + 'embedded.ts');
      const db = await openEmbedded(${JSON.stringify(dir)});
      await db.query('truncate vidbatch.note');
      for (let id = 1; ; id++) {
        await db.query('insert into vidbatch.note values ($1, $2)', [id, 'x'.repeat(500)]);
        console.log(id);
      }
    `);
    const acknowledged: number[] = [];
    while (acknowledged.length < 100) acknowledged.push(Number(await child.line()));
    acknowledged.push(...(await child.kill()).map(Number));
    db = await openEmbedded(dir);
    const kept = await notes();
    assert.deepEqual(kept.slice(0, acknowledged.length), acknowledged);
    assert.ok(kept.length - acknowledged.length <= 1, 'and at most the one that was under way');
    await db.end();
  });
});

test('the marker file of an earlier version is removed, and no database', async () => {
  const notesBefore = await reopened();
  assert.ok(notesBefore.length > 0);
  await writeFile(`${dir}.making`, '');
  assert.deepEqual(await reopened(), notesBefore);
  assert.ok(!existsSync(`${dir}.making`), 'an earlier version would remove the database for it');
});

async function reopened(): Promise<number[]> {
  db = await openEmbedded(dir);
  try {
    return await notes();
  } finally {
    await db.end();
  }
}

describe('a folder that cannot be opened is reported in one line, and stays as it is', () => {
  async function refused(code: string, words: RegExp): Promise<void> {
    await assert.rejects(
      openEmbedded(dir),
      (error) => error instanceof VidbatchError && error.code === code && words.test(error.message),
    );
  }

  test('of another version', async () => {
    await writeFile(join(dir, 'PG_VERSION'), '16\n');
    await refused('DATABASE_VERSION', /written by Postgres "16", this vidbatch reads Postgres 18$/);
    await writeFile(join(dir, 'PG_VERSION'), '18\n');
  });

  test('damaged', async () => {
    await rename(join(dir, 'global'), join(dir, 'gone'));
    await refused('DATABASE_DAMAGED', /database: the database does not start: (?!.*\[object)[^\n]+$/);
    await rename(join(dir, 'gone'), join(dir, 'global'));
  });

  test('without the file that every database has', async () => {
    for (const marked of [false, true]) {
      if (marked) await writeFile(`${dir}.making`, '');
      await rename(join(dir, 'PG_VERSION'), join(dir, 'gone'));
      await refused('DATABASE_DAMAGED', /PG_VERSION is missing/);
      await rename(join(dir, 'gone'), join(dir, 'PG_VERSION'));
    }
    assert.ok((await reopened()).length > 0, 'nothing was removed');
  });

  test('that another user owns in part, until the whole folder is given back', async () => {
    const files = join(root, 'given', 'database');
    await copyTemplate(join(root, 'given'), 'empty');
    await chmod(root, 0o755);
    const before = await readdir(files, { recursive: true });
    // Root may read everything, so the user nobody tries.
    const isRoot = process.getuid?.() === 0;
    const other = isRoot ? { uid: 65_534, gid: 65_534, cwd: root } : {};
    if (isRoot) chownSync(join(root, 'given'), 65_534, 65_534);
    else await chmod(files, 0);
    const open = `
      const { openEmbedded } = await import(src + 'embedded.ts');
      try { await (await openEmbedded(${JSON.stringify(files)})).end(); console.log('opened'); }
      catch (error) { console.log(error.code + ' ' + error.message); }`;
    for (let i = 0; i < 2; i += 1) {
      const refusal = await startChild(open, other).line();
      assert.match(refusal, /^DATABASE_FILES .*given\/database.*: this user may not use it \(EACCES\)$/);
    }
    if (isRoot) for (const path of ['', ...before]) chownSync(join(files, path), 65_534, 65_534);
    else await chmod(files, 0o700);
    assert.deepEqual(await readdir(files, { recursive: true }), before);
    assert.deepEqual(await readdir(join(root, 'given')), ['database'], 'no marker, no second database');
    assert.equal(await startChild(open, other).line(), 'opened');
  });

  test('a file in its place', async () => {
    const file = join(root, 'file');
    await writeFile(file, '');
    await assert.rejects(openEmbedded(file), { code: 'DATABASE_FILES' });
  });
});
