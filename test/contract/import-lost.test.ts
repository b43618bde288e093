import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { withVersions } from '../../src/batch/retry.ts';
import { VidbatchError } from '../../src/core/errors.ts';
import { openCandidate, withCandidate } from '../../src/batch/candidate.ts';
import { bringIn, produce, rehearse, type ProduceOptions } from '../../src/batch/producer.ts';
import type { Database, Queryable } from '../../src/database/database.ts';
import { gatherSuspects } from '../../src/ledger/audit/suspect.ts';
import { stageLines } from '../../src/ledger/audit/provider-lines.ts';
import { pairTasks } from '../../src/ledger/audit/pairing.ts';
import { stageRows, beginImport, type StagedRow } from '../../src/ledger/import/stage.ts';
import { openApp } from '../../src/worker/app.ts';
import { startServer } from '../servers.ts';
import { until } from '../until.ts';
import { bring, ManifestFile, ORIGIN, row, send, states, told } from './manifest-file.ts';
import { makeBatch } from './rows.ts';
import { LEDGERS, onEvery, openStorage, place } from './storages.ts';

const LOST = { code: 'IMPORT_LOST', exitCode: 1, message: /the database was restarted/ };

const STAGED: StagedRow = {
  position: 0,
  line: 1,
  keyBasis: 'k',
  numbered: false,
  input: '{}',
  request: null,
  contentHash: null,
  model: null,
  mode: null,
  notBefore: null,
  priority: 0,
  errorCode: null,
  error: null,
};

async function countScratch(db: Queryable): Promise<unknown> {
  const { rows } = await db.query(
    `select (select count(*) from vidbatch.import)::int as imports, (select count(*) from vidbatch.staged)::int as staged`,
  );
  return rows[0];
}

onEvery(LEDGERS, (storage) => {
  test('staged rows that another command has deleted do not look like an empty file', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row(1), row(2)]);
    await produce(db, file.path);
    const options: ProduceOptions = { vanished: 'prune' };
    await file.write([row(1), row(2), row(3)]);
    await withCandidate(db, file.path, options, async (candidate) => {
      await db.query('delete from vidbatch.import');
      const refused = await rehearse(db, candidate, options, async () => false);
      assert.ok(refused instanceof VidbatchError);
      assert.equal(refused.code, 'IMPORT_LOST');
    });
    const { rows } = await db.query('select state from vidbatch.submission');
    assert.deepEqual(rows, [{ state: 'pending' }, { state: 'pending' }]);
  });

  test('rows that another command has changed since they were read do not count as known', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row(1), row(2)]);
    await produce(db, file.path);
    await withCandidate(db, file.path, {}, async (candidate) => {
      await file.write([row(1), row(2, { duration: 9 })]);
      await produce(db, file.path);
      await assert.rejects(bringIn(db, candidate, {}), { code: 'BATCH_CHANGED', exitCode: 1 });
    });
  });

  test('rows cannot be added to deleted staged rows', async () => {
    const { db } = storage();
    const importId = await beginImport(db);
    await db.query('delete from vidbatch.import');
    await assert.rejects(stageRows(db, importId, [STAGED]), LOST);
    const read = { taskId: 't', requestId: null, model: null, duration: null, prompt: null, status: null };
    const none = { createdAt: null, client: null, chargeId: null, entry: null, amount: null, currency: null };
    const line = {
      ...read,
      ...none,
      billedAt: null,
      zoned: false,
      negative: false,
      aside: false,
      fault: null,
    };
    await assert.rejects(
      stageLines(db, importId, [{ position: 1, file: 'f', line: 1, raw: '{}', listed: true, read: line }]),
      LOST,
    );
    const { id, origin } = await makeBatch(db);
    await db.query(
      `insert into vidbatch.unmatched_attempt (attempt_id, batch, row_key, number, epoch, worker, origin, intended_at)
       values (gen_random_uuid(), 'lost', 'k', 1, 0, 'w', $1, now())`,
      [origin],
    );
    await assert.rejects(gatherSuspects(db, importId, origin), LOST);
    const file = await new ManifestFile().write([row('sent')]);
    await bring(db, file);
    await send(db, file, 'prompt sent');
    await assert.rejects(pairTasks(db, importId, { origin: ORIGIN, batchId: null }), LOST);
    await db.query('delete from vidbatch.row_state where batch_id = $1', [id]);
  });

  test('deleted versions do not count as the versions of the rows', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row('a')]);
    const { batch } = await bring(db, file);
    const losing: Database = {
      query: async (text, params) => {
        if (text.includes('as elsewhere')) await db.query('delete from vidbatch.import');
        return db.query(text, params);
      },
      connect: () => db.connect(),
      end: () => db.end(),
    };
    await assert.rejects(
      withVersions(losing, batch, file.path, { chosen: {} }, () => Promise.resolve()),
      LOST,
    );
  });
});

describe('a ledger that crashes while rows are staged', () => {
  test('on Postgres has lost all of them, and the command says so and prunes nothing', async (t) => {
    const server = await startServer('postgres');
    t.after(() => server.stop());
    const storage = await openStorage('postgres', { databaseUrl: server.url });
    t.after(() => storage.close());
    const { db } = storage;
    const file = await new ManifestFile().write([row(1), row(2)]);
    await bring(db, file);
    await file.write([row(1), row(2), row(3), row(4)]);
    const candidate = await openCandidate(db, file.path, {});
    assert.deepEqual(await countScratch(db), { imports: 1, staged: 2 });
    await server.kill();
    await server.restart();
    await until(() =>
      db.query('select').then(
        () => true,
        () => false,
      ),
    );
    assert.deepEqual(await countScratch(db), { imports: 0, staged: 0 });
    await assert.rejects(stageRows(db, candidate.read.importId, [STAGED]), LOST);
    await assert.rejects(bringIn(db, candidate, { vanished: 'prune' }), LOST);
    await candidate.close();
    assert.deepEqual(await states(db, file), ['pending', 'pending']);
    assert.deepEqual(told(await bring(db, file)), { rows: 4, added: 2, known: 2 });
  });

  test('on PGlite has lost all of them or none, and the next command brings the file in', async (t) => {
    const { config, remove } = await place('embedded', {}, true);
    t.after(remove);
    const rows = Array.from({ length: 1600 }, (_, n) => row(`k${n}`));
    const file = await new ManifestFile().write(rows);
    const module = (path: string): string =>
      JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
    const code = `
      const { openApp } = await import(${module('worker/app.ts')});
      const { produce } = await import(${module('batch/producer.ts')});
      const app = await openApp(${JSON.stringify(config)}, 'writer');
      await produce(app.db, ${JSON.stringify(file.path)}, {
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
    assert.deepEqual(await countScratch(app.db), { imports: 0, staged: 0 });
    assert.deepEqual(told(await bring(app.db, file)), { rows: 1600, added: 1600 });
  });
});
