import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { beforeEach, describe, test } from 'node:test';
import { exportJsonl } from '../../src/batch/export.ts';
import { findBatch, type Batch } from '../../src/ledger/batches.ts';
import type { Database } from '../../src/database/database.ts';
import { readSubmissions } from '../../src/ledger/read/rows.ts';
import { bring, ManifestFile, refused, row, send, submissions, ORIGIN, type Raw } from './manifest-file.ts';
import { claimAll, recordOne } from './rows.ts';
import { SQL_LEDGERS, onEvery } from './storages.ts';

const shot = (id: string, prompt: string): Raw => row(id, { prompt });

/** key → state and prompt. */
async function known(db: Database, file: ManifestFile): Promise<Record<string, string>> {
  const rows = await submissions(db, file);
  return Object.fromEntries(
    rows.map(({ key, state, request }) => [
      key,
      `${state}: ${String((JSON.parse(request ?? '{}') as Raw)['prompt'])}`,
    ]),
  );
}

onEvery(SQL_LEDGERS, (storage) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  /** Rows of these ids and prompts, all of them sent. */
  async function sentBatch(...rows: Raw[]): Promise<ManifestFile> {
    const file = await new ManifestFile().write(rows);
    await bring(storage().db, file);
    await send(storage().db, file, ...rows.map(({ prompt }) => String(prompt)));
    return file;
  }

  describe('ids that a spreadsheet has changed', () => {
    test('are refused with their pairs, and nothing is sent until a person decides', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('001', 'dawn'), shot('002', 'noon'), shot('003', 'dusk'));
      await file.write([shot('1', 'dawn'), shot('2', 'noon'), shot('3', 'dusk')]);
      await refused(
        db,
        file,
        {},
        'RENAMED_IDS',
        3,
        `3 rows of batch ${file.name} have new ids in the manifest: the same content was sent under other ids; nothing was sent now`,
        'line 1, 001 → 1 (submitted)',
        'line 3, 003 → 3 (submitted)',
      );
      const before = await submissions(db, file);
      const { added, renamed, known: same } = await bring(db, file, { rename: true, who: 'ann@desk' });
      assert.deepEqual([added, renamed, same], [0, 3, 3]);
      const rows = await submissions(db, file);
      assert.deepEqual(
        rows.map(({ id, key, taskId, attempts }) => [id, key, taskId, attempts]),
        before.map(({ id, taskId, attempts }, n) => [id, `${n + 1}`, taskId, attempts]),
        'the same rows, with their attempts and task ids',
      );
      const { rows: trail } = await db.query(
        `select who, detail from vidbatch.event_log where event = 'submit --rename' and submission_id is not null order by id`,
      );
      assert.deepEqual(trail[0], { who: 'ann@desk', detail: 'was 001, is 1' });
      const { added: none, renamed: again } = await bring(db, file, { rename: true });
      assert.deepEqual([none, again], [0, 0], 'repeating changes nothing');
      assert.equal((await bring(db, file)).known, 3);
      const batch = (await findBatch(db, file.name)) as Batch;
      let text = '';
      for await (const line of exportJsonl(readSubmissions(db, batch.id))) text += line;
      assert.match(text, /"row_key":"1".*"task_id":"[^"]+"/);
      assert.match(text, /"input":\{"id":"1"/);
    });

    test('are new videos with --add, and that is asked once', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('001', 'dawn'));
      await file.write([shot('1', 'dawn')]);
      assert.equal((await bring(db, file, { add: true })).added, 1);
      assert.deepEqual(await known(db, file), { '001': 'submitted: dawn', '1': 'pending: dawn' });
      assert.equal((await bring(db, file)).known, 1);
    });

    test('of rows in every state that may have been paid are guarded', async () => {
      const { db } = storage();
      const states = ['submitting', 'uncertain', 'abandoned', 'doubtful', 'submitted'];
      const file = await new ManifestFile().write(states.map((state) => shot(`A-${state}`, state)));
      await bring(db, file);
      const batch = (await findBatch(db, file.name)) as Batch;
      await db.query('update vidbatch.batch set proven = true where id = $1', [batch.id]);
      const rows = await submissions(db, file);
      const claims = await claimAll(
        db,
        { origin: ORIGIN },
        rows.map(({ id }) => id),
      );
      const claimOf = (prompt: string): (typeof claims)[number] => {
        const found = claims.find(({ request }) => request.includes(`"${prompt}"`));
        assert.ok(found);
        return found;
      };
      await recordOne(db, claimOf('submitted'), 'accepted');
      for (const state of ['uncertain', 'abandoned', 'doubtful'])
        await recordOne(db, claimOf(state), 'uncertain');
      await db.query(
        `update vidbatch.row_state set previous = 'uncertain', state = 'abandoned' where id = (select id from vidbatch.row where row_key = 'A-abandoned')`,
      );
      await db.query(
        `update vidbatch.row_state set previous = 'uncertain', state = 'pending', doubtful = true where id = (select id from vidbatch.row where row_key = 'A-doubtful')`,
      );
      await file.write(states.map((state) => shot(`B-${state}`, state)));
      await refused(db, file, { vanished: 'prune' }, 'RENAMED_IDS', 3, '5 rows');
      assert.equal((await bring(db, file, { rename: true })).renamed, 5);
      await recordOne(db, claimOf('submitting'), 'accepted');
      assert.equal(
        (await known(db, file))['B-submitting'],
        'submitted: submitting',
        'its answer still finds it',
      );
    });

    test('of rows that wait make one row, not two', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([shot('001', 'dawn'), shot('002', 'noon')]);
      await bring(db, file);
      await file.write([shot('1', 'dawn'), shot('2', 'noon')]);
      await refused(db, file, {}, 'RENAMED_IDS', 3, 'the same content waits under other ids', '(pending)');
      await refused(db, file, { vanished: 'keep' }, 'RENAMED_IDS', 3);
      await refused(db, file, { add: true }, 'ROWS_VANISHED', 3);
      assert.equal((await bring(db, file, { rename: true })).renamed, 2);
      assert.deepEqual(await known(db, file), { '1': 'pending: dawn', '2': 'pending: noon' });
      await file.write([shot('01', 'dawn'), shot('02', 'noon')]);
      const pruned = await bring(db, file, { vanished: 'prune' });
      assert.deepEqual([pruned.added, pruned.pruned], [2, 2], 'or the old ones are cancelled');
    });

    test('with their content as well are named, and are new videos only with --add', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('001', 'dawn'), shot('Café', 'noon'));
      await file.write([shot('1', 'dawn, wide'), shot('cafe\u0301', 'noon, wide'), shot('other', 'another')]);
      await refused(
        db,
        file,
        {},
        'RENAMED_IDS',
        3,
        '2 rows',
        'whose id and content changed',
        'line 1, 001 → 1 (submitted)',
        '"prompt":"dawn"',
        '"prompt":"dawn, wide"',
      );
      await refused(db, file, { rename: true }, 'RENAMED_IDS', 3);
      assert.equal((await bring(db, file, { add: true })).added, 3);
    });

    test('beyond recognition, with their content as well, are found by their lines', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('1E5', 'dawn'), shot('1-2', 'noon'), shot('c', 'dusk'));
      await file.write([shot('1.00E+05', 'dawn, wide'), shot('2-Jan', 'noon, wide'), shot('d', 'night')]);
      await refused(
        db,
        file,
        {},
        'RENAMED_IDS',
        3,
        '2 rows',
        'whose id and content changed',
        'line 1, 1E5 → 1.00E+05 (submitted)',
        'line 2, 1-2 → 2-Jan (submitted)',
      );
      assert.equal((await bring(db, file, { add: true })).added, 3);
    });

    test('that only differ to a computer are the same to a person', async () => {
      const { db } = storage();
      const file = await sentBatch(
        shot('Shot-1', 'a'),
        shot('caf\u00e9', 'b'),
        shot('x', 'c'),
        shot('7', 'd'),
        shot('Ａ1', 'e'),
      );
      await file.write([
        shot('shot-1', 'a'),
        shot('cafe\u0301', 'b'),
        shot('x\u200b', 'c'),
        shot('7.0', 'd'),
        shot('A1', 'e'),
      ]);
      await refused(db, file, {}, 'RENAMED_IDS', 3, '5 rows', 'x → x<U+200B>', 'caf\u00e9 → cafe<U+0301>');
    });

    test('and new rows beside missing rows, with nothing in common, are handled as before', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('a', 'dawn'), shot('b', 'noon'));
      await file.write([shot('b', 'noon'), shot('c', 'dusk'), shot('d', 'noon')]);
      assert.equal(
        (await bring(db, file)).added,
        2,
        'a second video of the same content is one of two in the manifest',
      );
    });
  });

  describe('--rename', () => {
    test('swaps two ids, and closes a gap', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('1', 'one'), shot('2', 'two'), shot('3', 'three'));
      await file.write([shot('1', 'two'), shot('2', 'one'), shot('3', 'three')]);
      await refused(db, file, {}, 'RENAMED_IDS', 3, '2 rows');
      assert.equal((await bring(db, file, { rename: true })).renamed, 2);
      assert.deepEqual(await known(db, file), {
        '1': 'submitted: two',
        '2': 'submitted: one',
        '3': 'submitted: three',
      });
      await file.write([shot('1', 'one'), shot('2', 'three')]);
      await bring(db, file, { rename: true });
      assert.deepEqual(await known(db, file), {
        '1': 'submitted: one',
        '2': 'submitted: three',
        '1 (gone)': 'submitted: two',
      });
      await file.write([shot('1', 'three')]);
      await bring(db, file, { rename: true });
      assert.deepEqual(await known(db, file), {
        '1': 'submitted: three',
        '1 (gone)': 'submitted: two',
        '1 (gone 2)': 'submitted: one',
      });
    });

    test('moves every number by one when a row is put in front, and sends that one', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('1', 'one'), shot('2', 'two'));
      await file.write([shot('1', 'zero'), shot('2', 'one'), shot('3', 'two')]);
      await refused(db, file, {}, 'RENAMED_IDS', 3, '1 → 2', '2 → 3');
      const { added, renamed } = await bring(db, file, { rename: true });
      assert.deepEqual([added, renamed], [1, 2]);
      assert.deepEqual(await known(db, file), {
        '1': 'pending: zero',
        '2': 'submitted: one',
        '3': 'submitted: two',
      });
    });

    test('pairs the same content several times by count and order', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a'), shot('b', 'same'), shot('c', 'same')]);
      await bring(db, file);
      await send(db, file, 'prompt a', 'same');
      await file.write([row('a'), shot('x', 'same'), shot('y', 'same'), shot('z', 'same')]);
      await refused(db, file, { vanished: 'prune' }, 'RENAMED_IDS', 3, '1 row');
      const { added, renamed } = await bring(db, file, { rename: true });
      assert.deepEqual([added, renamed], [1, 2]);
      assert.deepEqual(Object.values(await known(db, file)).toSorted(), [
        'pending: same',
        'pending: same',
        'submitted: prompt a',
        'submitted: same',
      ]);
      assert.match((await known(db, file))['z'] ?? '', /^pending/, 'what has no pair is new');
    });

    test('of one row for two that were sent takes the one whose id is gone', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([shot('a', 'same'), shot('b', 'same')]);
      await bring(db, file);
      await send(db, file, 'same');
      await file.write([shot('c', 'same')]);
      const sent = Object.entries(await known(db, file)).find(([, state]) => state.startsWith('submitted'));
      await bring(db, file, { rename: true, vanished: 'prune' });
      const rows = await known(db, file);
      assert.equal(rows['c'], 'submitted: same', `${sent?.[0]} was the sent one`);
      assert.deepEqual(Object.values(rows).toSorted(), ['cancelled: same', 'submitted: same']);
    });

    test('changes all ids or none, also when another refusal follows', async () => {
      const { db } = storage();
      const file = await sentBatch(shot('001', 'dawn'), shot('002', 'noon'));
      await file.write([shot('1', 'dawn'), shot('002', 'noon, wide')]);
      await refused(db, file, { rename: true }, 'CHANGED_AFTER_SENT', 3);
      assert.deepEqual(Object.keys(await known(db, file)), ['001', '002']);
    });

    test('that is killed in the middle leaves none, and the next one takes all', async () => {
      const { db, config } = storage();
      const file = await sentBatch(shot('001', 'dawn'), shot('002', 'noon'));
      await file.write([shot('1', 'dawn'), shot('2', 'noon')]);
      const code = `
        const { openApp } = await import(${JSON.stringify(new URL('../../src/worker/app.ts', import.meta.url).href)});
        const { produce } = await import(${JSON.stringify(new URL('../../src/batch/producer.ts', import.meta.url).href)});
        const app = await openApp(${JSON.stringify(config)}, 'writer');
        await produce(app.db, ${JSON.stringify(file.path)}, {
          rename: true,
          origin: ${JSON.stringify(ORIGIN)},
          alongside: async (session, batch) => {
            const { rows } = await session.query('select row_key from vidbatch.submission where batch_id = $1 order by 1', [batch.id]);
            console.log(rows.map((row) => row.row_key).join());
            for (;;);
          },
        });`;
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
      const child = spawn(process.execPath, ['--liftoff-only', '--input-type=module', '--eval', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env,
      });
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      assert.equal(line, '1,2', 'it was in the middle');
      child.kill('SIGKILL');
      await once(child, 'close');
      assert.deepEqual(await known(db, file), { '001': 'submitted: dawn', '002': 'submitted: noon' });
      assert.equal((await bring(db, file, { rename: true })).renamed, 2);
    });
  });
});
