import assert from 'node:assert/strict';
import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { beforeEach, describe, test } from 'node:test';
import { findBatch } from '../../src/ledger/batches.ts';
import type { VidbatchError } from '../../src/core/errors.ts';
import { plan } from '../../src/batch/plan.ts';
import { produce } from '../../src/batch/producer.ts';
import { SQL_LEDGERS, onEvery, openStorage } from './storages.ts';
import {
  bring,
  ManifestFile,
  ORIGIN,
  plain,
  refused,
  root,
  row,
  send,
  states,
  submissions,
  told,
} from './manifest-file.ts';

onEvery(SQL_LEDGERS, (storage) => {
  // What another batch has sent is asked about: no test must see the rows of another one.
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  describe('priorities', () => {
    const priorities = async (): Promise<unknown> =>
      (
        await storage().db.query(
          'select s.priority + b.priority as p from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id order by s.line',
        )
      ).rows.map(({ p }) => p);

    test('are those of the rows and of the batch, and the manifest changes them for what is still to be sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([
        { ...row('a'), priority: 5 },
        { ...row('b'), priority: '-5' },
        row('c'),
      ]);
      await bring(db, file);
      assert.deepEqual(await priorities(), [5, -5, 0]);
      await bring(db, file, { priority: 10 });
      assert.deepEqual(await priorities(), [15, 5, 10]);
      await file.write([row('a'), { ...row('b'), priority: 7 }, row('c')]);
      assert.deepEqual(
        told(await bring(db, file)),
        { rows: 3, known: 3 },
        'they are no part of what is sent',
      );
      assert.deepEqual(await priorities(), [10, 17, 10], 'and that of the batch stays');
    });
  });

  describe('a manifest without ids', () => {
    test('identical rows are two videos', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('same'), plain('same'), plain('other')]);
      assert.deepEqual(told(await bring(db, file)), { rows: 3, added: 3 });
      const keys = (await submissions(db, file)).map(({ key }) => key);
      assert.equal(new Set(keys).size, 3);
      assert.deepEqual(
        keys.map((key) => key.slice(-2)),
        ['#1', '#2', '#1'],
      );
      await file.write([plain('same'), plain('same'), plain('same'), plain('other')]);
      assert.deepEqual(told(await bring(db, file)), { rows: 4, added: 1, known: 3 });
    });

    test('identical rows of a CSV file are two videos, too, and are known again', async () => {
      const { db } = storage();
      const path = join(root, 'identical.csv');
      const write = (prompts: readonly string[]): Promise<void> =>
        writeFile(path, `model,prompt\n${prompts.map((prompt) => `viduq3p-720p,${prompt}\n`).join('')}`);
      await write(['same', 'same', 'other']);
      assert.deepEqual(told(await produce(db, path)), { rows: 3, added: 3 });
      assert.deepEqual(told(await produce(db, path)), { rows: 3, known: 3 });
      await write(['other', 'same', 'same', 'same']);
      assert.deepEqual(told(await produce(db, path)), { rows: 4, added: 1, known: 3 });
      await write(['other', 'same', 'new']);
      await assert.rejects(produce(db, path), { code: 'ROWS_VANISHED' });
    });

    test('another order, or another order of its fields, is no change', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('a'), plain('b'), plain('a'), plain('c')]);
      await bring(db, file);
      await send(db, file, 'b');
      await file.write([plain('c'), plain('b'), plain('a'), { prompt: 'a', model: 'viduq3p-720p' }]);
      assert.deepEqual(told(await bring(db, file)), { rows: 4, known: 4 });
      assert.deepEqual(await states(db, file), ['pending', 'submitted', 'pending', 'pending']);
    });

    test('new rows beside sent ones that are gone look like edits', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('a'), plain('b')]);
      await bring(db, file);
      await send(db, file, 'a');
      await file.write([plain('A'), plain('b')]);
      await refused(db, file, {}, 'LOOKS_LIKE_EDITS', 3, '1 row');
      assert.deepEqual(told(await bring(db, file, { add: true })), { rows: 2, added: 1, known: 1 });
      assert.deepEqual((await states(db, file)).toSorted(), ['pending', 'pending', 'submitted']);
    });

    test('an edit of a row that was not sent replaces it, when asked to', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('a'), plain('b')]);
      await bring(db, file);
      await file.write([plain('A'), plain('b')]);
      await refused(db, file, {}, 'ROWS_VANISHED', 3);
      assert.deepEqual(told(await bring(db, file, { vanished: 'prune' })), {
        rows: 2,
        added: 1,
        known: 1,
        pruned: 1,
      });
    });

    test('is not confused with a manifest with ids', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('a')]);
      await bring(db, file);
      await file.write([row(1)]);
      await refused(db, file, {}, 'KEYS_CHANGED', 3, 'by their content');
      const other = await new ManifestFile().write([row(1)]);
      await bring(db, other, { again: true });
      await other.write([plain('a')]);
      await refused(db, other, {}, 'KEYS_CHANGED', 3, 'by id');
    });
  });

  describe('several batches', () => {
    test('content that another batch has sent is asked about', async () => {
      const { db } = storage();
      const first = await new ManifestFile().write([plain('once'), plain('waits')]);
      await bring(db, first);
      await send(db, first, 'once');
      const second = await new ManifestFile().write([
        row(1, { prompt: 'once' }),
        row(2, { prompt: 'waits' }),
      ]);
      await refused(db, second, {}, 'SENT_ELSEWHERE', 3, '1 row', first.name);
      assert.deepEqual(told(await bring(db, second, { again: true })), { rows: 2, added: 2 });
      assert.deepEqual(told(await bring(db, second)), { rows: 2, known: 2 }, 'and asked about once');
    });

    test('content that waits to be sent in another batch, too, is named', async () => {
      const { db } = storage();
      const first = await new ManifestFile().write([plain('waits here'), plain('alone')]);
      await bring(db, first);
      const second = await new ManifestFile().write([
        row(1, { prompt: 'waits here' }),
        row(2, { prompt: 'of its own' }),
      ]);
      const expected = { rows: 1, batch: first.name };
      assert.deepEqual((await plan(db, second.path, { origin: ORIGIN })).waitsElsewhere, expected);
      assert.deepEqual((await bring(db, second)).waitsElsewhere, expected);
      assert.equal((await bring(db, second)).waitsElsewhere, undefined, 'known rows are named once');
    });

    test('an edit into what another batch has sent is asked about, too', async () => {
      const { db } = storage();
      const first = await new ManifestFile().write([plain('sent before')]);
      await bring(db, first);
      await send(db, first, 'sent before');
      const second = await new ManifestFile().write([row(1)]);
      await bring(db, second);
      await second.write([row(1, { prompt: 'sent before' })]);
      await refused(db, second, {}, 'SENT_ELSEWHERE', 3, first.name);
    });

    test('a name belongs to one file', async () => {
      const { db } = storage();
      const first = await new ManifestFile().write([row(1)]);
      await bring(db, first);
      const folder = join(root, `elsewhere-${first.name}`);
      await mkdir(folder);
      await writeFile(join(folder, `${first.name}.jsonl`), JSON.stringify(row(2)));
      await assert.rejects(produce(db, join(folder, `${first.name}.jsonl`)), {
        code: 'BATCH_OF_OTHER_FILE',
        exitCode: 2,
        hint: new RegExp(`^--batch ${first.name} continues that batch, and sends its new rows`),
      });
    });

    test('a moved manifest continues its batch when --batch names it', async () => {
      const { db } = storage();
      const first = await new ManifestFile().write([row('a'), row('b')]);
      await bring(db, first);
      await send(db, first, 'prompt a');
      const moved = await new ManifestFile().write([row('a'), row('b'), row('c')]);
      const brought = await bring(db, moved, { batch: first.name, who: 'ann@desk' });
      assert.deepEqual(told(brought), { rows: 3, added: 1, known: 2 });
      assert.deepEqual(await states(db, first), ['submitted', 'pending', 'pending']);
      const batch = await findBatch(db, first.name);
      assert.equal(batch?.source, await realpath(moved.path), 'it remembers the latest');
      const { rows: trail } = await db.query(
        `select who, detail from vidbatch.event_log where event = 'manifest'`,
      );
      assert.deepEqual(trail, [
        { who: 'ann@desk', detail: `${await realpath(first.path)} → ${await realpath(moved.path)}` },
      ]);
      await moved.write([row('a', { prompt: 'edited' }), row('b'), row('c')]);
      await assert.rejects(bring(db, moved, { batch: first.name }), { code: 'CHANGED_AFTER_SENT' });
      await moved.write([row('a')]);
      await assert.rejects(bring(db, moved, { batch: first.name }), { code: 'ROWS_VANISHED' });
      await moved.write([row('A', { prompt: 'prompt a' }), row('b'), row('c')]);
      await assert.rejects(bring(db, moved, { batch: first.name }), { code: 'RENAMED_IDS' });
    });

    test('a manifest from standard input also continues its batch, and does not become the batch’s path', async () => {
      const { db } = storage();
      const first = await new ManifestFile().write([row('a')]);
      await bring(db, first);
      const stdin = Readable.from([[row('a'), row('b')].map((one) => JSON.stringify(one)).join('\n')]);
      const options = { batch: first.name, format: 'jsonl', stdin, origin: ORIGIN };
      assert.deepEqual(told(await produce(db, '-', options)), { rows: 2, added: 1, known: 1 });
      assert.equal((await findBatch(db, first.name))?.source, await realpath(first.path));
      await first.write([row('a'), row('b')]);
      assert.deepEqual(told(await bring(db, first)), { rows: 2, known: 2 });
    });

    test('a different manifest does not get into a batch by mistake', async () => {
      const { db } = storage();
      for (const [mine, theirs] of [
        [row(1), row('x')],
        [row(1), row(1, { prompt: 'other' })],
        [plain('a'), plain('x')],
      ] as const) {
        const first = await new ManifestFile().write([mine]);
        await bring(db, first);
        const other = await new ManifestFile().write([theirs]);
        const before = await submissions(db, first);
        await assert.rejects(bring(db, other, { batch: first.name, vanished: 'keep' }), {
          code: 'NO_ROW_IN_COMMON',
          exitCode: 3,
          message: new RegExp(`^no row of the manifest is in batch ${first.name}, which was made from /`),
          hint: /--add sends all of its rows as new videos/,
        });
        assert.deepEqual(await submissions(db, first), before);
        await bring(db, other, { batch: first.name, vanished: 'keep', add: true });
      }
    });

    test('a name that is given belongs to one manifest, also when two are brought in at once', async () => {
      const { db, another } = storage();
      const other = await another();
      const files = [
        await new ManifestFile().write([row('x')]),
        await new ManifestFile().write([row('y')]),
      ] as const;
      const batch = `both-${files[0].name}`;
      const ends = await Promise.allSettled([
        bring(db, files[0], { batch, vanished: 'keep' }),
        bring(other.db, files[1], { batch, vanished: 'keep' }),
      ]);
      assert.deepEqual(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
      const failed = ends.find((one) => one.status === 'rejected');
      assert.equal(
        (failed?.reason as VidbatchError | undefined)?.code,
        'NO_ROW_IN_COMMON',
        String(failed?.reason),
      );
      await other.close();
    });

    test('a batch with accepted rows stays with its provider until --rebind', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('p1'), row('p2')]);
      await bring(db, file);
      const elsewhere = { origin: 'https://elsewhere.example' };
      await bring(db, file, elsewhere);
      await bring(db, file);
      await send(db, file, 'prompt p1');
      await refused(db, file, elsewhere, 'OTHER_PROVIDER', 2, ORIGIN, '1 of its rows');
      assert.equal((await bring(db, file, { ...elsewhere, rebind: true })).batch.origin, elsewhere.origin);
    });
  });
});

describe('a producer that is killed in the middle', () => {
  for (const kind of SQL_LEDGERS) {
    test(`leaves no half batch, and the next one brings all of it in (${kind})`, async () => {
      const storage = await openStorage(kind);
      const rows = Array.from({ length: 1600 }, (_, n) => row(`k${n}`));
      const file = await new ManifestFile().write(rows);
      // The child opens the ledger itself, as a guest where this process holds the folder.
      const code = `
        const { openApp } = await import(${JSON.stringify(new URL('../../src/worker/app.ts', import.meta.url).href)});
        const { produce } = await import(${JSON.stringify(new URL('../../src/batch/producer.ts', import.meta.url).href)});
        const app = await openApp(${JSON.stringify(storage.config)}, 'writer');
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
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      assert.equal(line, '1000');
      child.kill('SIGKILL');
      await once(child, 'close');
      const { rows: staged } = await storage.db.query('select from vidbatch.staged');
      // The second chunk was on its way.
      assert.ok([500, 1000].includes(staged.length), `it was in the middle: ${staged.length}`);
      assert.equal(await findBatch(storage.db, file.name), undefined);
      await storage.db.query(`update vidbatch.import set seen_at = seen_at - interval '16 minutes'`);
      assert.deepEqual(told(await bring(storage.db, file)), { rows: 1600, added: 1600 });
      const { rows: left } = await storage.db.query('select from vidbatch.staged');
      assert.equal(left.length, 0, 'what the dead one left is swept away');
      await storage.close();
    });
  }
});
