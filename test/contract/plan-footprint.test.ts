import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { openCandidate } from '../../src/batch/candidate.ts';
import { plan } from '../../src/batch/plan.ts';
import type { ProduceOptions } from '../../src/batch/producer.ts';
import type { Queryable } from '../../src/database/database.ts';
import { openApp } from '../../src/worker/app.ts';
import { bring, ManifestFile, ORIGIN, plain, row, send, type Raw } from './manifest-file.ts';
import { LEDGERS, onEvery, place } from './storages.ts';

/** Many pages: what a plan left behind would show. */
const ROWS = 300;
/** A plan tells its progress once in a thousand rows. */
const LONG = 1200;
const MONEY = { amount: { units: 100n, scale: 0 }, currency: 'CNY' };

function rows(make: (n: number) => Raw, length = ROWS): Raw[] {
  return Array.from({ length }, (_, n) => make(n));
}

/** The bytes of the ledger's tables and indexes: more than a page of dead rows shows in them. */
async function bytesOf(db: Queryable): Promise<unknown> {
  const { rows: read } = await db.query(
    `select c.relname as name,
            pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) as bytes
       from pg_class c where c.relnamespace = 'vidbatch'::regnamespace and c.relkind in ('r', 'i') order by 1`,
  );
  return read;
}

/** Each row that was written and is dead. Only the embedded database tells at once: it has one session. */
async function deadRows(db: Queryable): Promise<unknown> {
  await db.query('select pg_stat_force_next_flush()');
  const { rows: read } = await db.query(
    `select relname as name, n_dead_tup as dead from pg_stat_user_tables
      where schemaname = 'vidbatch' and n_dead_tup > 0 order by 1`,
  );
  return read;
}

onEvery(LEDGERS, (storage, kind) => {
  const leavesNothing = async (
    file: ManifestFile,
    options: ProduceOptions = {},
  ): Promise<string | undefined> => {
    const { db } = storage();
    const look = async (): Promise<unknown> => [
      await bytesOf(db),
      kind === 'embedded' ? await deadRows(db) : [],
    ];
    await db.query('vacuum');
    const before = await look();
    const { refused } = await plan(db, file.path, { origin: ORIGIN, ...options });
    assert.deepEqual(await look(), before);
    return refused?.code;
  };

  test('a plan of a new batch leaves the ledger as it was', async () => {
    const { db } = storage();
    assert.equal(await leavesNothing(await new ManifestFile().write(rows(row))), undefined);
    assert.equal(
      await leavesNothing(await new ManifestFile().write(rows((n) => plain(`${n % 100}`)))),
      undefined,
    );
    const sent = await new ManifestFile().write([row('sent')]);
    await bring(db, sent);
    await send(db, sent, 'prompt sent');
    const again = await new ManifestFile().write([...rows((n) => row(`b${n}`)), row('sent')]);
    assert.equal(await leavesNothing(again), 'SENT_ELSEWHERE');
  });

  test('a plan of a known manifest leaves the ledger as it was', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write(rows((n) => row(`c${n}`)));
    await bring(db, file);
    assert.equal(await leavesNothing(file), undefined);
    await file.write(rows((n) => row(`c${n}`)).toReversed());
    assert.equal(await leavesNothing(file), undefined);
  });

  test('a plan of an edited manifest leaves the ledger as it was', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write(rows((n) => row(`d${n}`)));
    await bring(db, file);
    await file.write(
      rows((n) => row(n < ROWS / 2 ? `d${n}` : `e${n}`, n % 3 === 0 ? { prompt: `new ${n}` } : {})),
    );
    assert.equal(await leavesNothing(file), 'ROWS_VANISHED');
    assert.equal(await leavesNothing(file, { vanished: 'prune' }), undefined);
    const other = await openCandidate(db, file.path, {});
    await plan(db, file.path, { origin: ORIGIN });
    await other.close();
    const { rows: left } = await db.query(`select pg_relation_size('vidbatch.staged')::int as bytes`);
    assert.deepEqual(left, [{ bytes: 0 }]);
  });

  test('a plan under a budget or a deadline leaves the ledger as it was', async () => {
    const { db } = storage();
    const prices = new Map([['viduq3p-720p', { ...MONEY, per: 'video' as const }]]);
    const late: ProduceOptions = { deadline: { at: new Date(Date.now() + 1000), on: 'fail', perSecond: 1 } };
    const file = await new ManifestFile().write(rows((n) => row(`f${n}`)));
    assert.equal(await leavesNothing(file, { budget: MONEY }), 'PRICE_UNKNOWN');
    assert.equal(await leavesNothing(file, { budget: MONEY, prices }), undefined);
    assert.equal(await leavesNothing(file, late), 'DEADLINE_UNREACHABLE');
    await bring(db, file, { budget: MONEY, prices });
    assert.equal(await leavesNothing(file), undefined);
    assert.equal(await leavesNothing(file, late), 'DEADLINE_UNREACHABLE');
  });

  for (const known of [false, true]) {
    test(`a plan of a ${known ? 'known' : 'new'} batch that is killed leaves the ledger as it was`, async (t) => {
      const { config, remove } = await place(kind, {}, true);
      t.after(remove);
      const file = await new ManifestFile().write(rows(row, LONG));
      const opened = await openApp(config, 'writer');
      if (known) await bring(opened.db, file);
      await opened.db.query('vacuum');
      const before = await bytesOf(opened.db);
      await opened.close();
      const module = (path: string): string =>
        JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
      const code = `
        const { openApp } = await import(${module('worker/app.ts')});
        const { plan } = await import(${module('batch/plan.ts')});
        const app = await openApp(${JSON.stringify(config)}, 'reader');
        await plan(app.db, ${JSON.stringify(file.path)}, {
          onProgress: (rows) => {
            if (rows < 1000) return;
            console.log(rows);
            for (;;);
          },
        });`;
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
      const child = spawn(process.execPath, ['--liftoff-only', '--input-type=module', '--eval', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env,
      });
      await once(createInterface({ input: child.stdout }), 'line');
      child.kill('SIGKILL');
      await once(child, 'close');
      const app = await openApp(config, 'writer');
      t.after(() => app.close());
      assert.deepEqual(await bytesOf(app.db), before);
    });
  }
});
