import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import * as fc from 'fast-check';
import { dirtyCsv, dirtyJson } from './dirty.ts';
import { told } from './manifest-file.ts';
import {
  asksForTheSame,
  bringIn,
  comesBack,
  exportOf,
  rowsOf,
  submitExport,
  type Format,
} from './round-trip.ts';
import { LEDGERS, onEvery } from './storages.ts';

const MODEL = 'viduq3p-720p';

const FORMATS: readonly Format[] = ['csv', 'jsonl'];

/** More of them: test/soak/round-trip.soak.ts. The SQL is the same on both ledgers, and takes longer on an embedded one. */
const RUNS = { embedded: 2, postgres: 6 };

onEvery(LEDGERS, (storage, kind) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  describe('an export that is submitted to its batch brings nothing new and changes nothing', () => {
    for (const [what, manifest] of Object.entries({ CSV: dirtyCsv, JSON: dirtyJson })) {
      test(`for any manifest of ${what}; in another batch it gives the same requests`, async () => {
        const { db } = storage();
        await fc.assert(
          fc.asyncProperty(manifest, async (dirty) => {
            const name = await bringIn(db, dirty);
            for (const format of FORMATS) await comesBack(db, name, format);
            for (const format of FORMATS) await asksForTheSame(db, name, format);
          }),
          { numRuns: kind === 'embedded' ? RUNS.embedded : RUNS.postgres },
        );
      });
    }
  });
});

onEvery(['postgres'], (storage) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  describe('an export of a CSV manifest', () => {
    test('has every column and every cell of a ragged row, and its lines as they were', async () => {
      const { db } = storage();
      const content = `id,model,prompt,,note,memo\n\n1,${MODEL},p\n2,${MODEL},"a, b",x,n,m,beyond,"=z"\n`;
      const name = await bringIn(db, { extension: 'csv', content });
      const [header = [], ...rows] = parse(await comesBack(db, name, 'csv'));
      assert.deepEqual(header.slice(0, 9), [
        'id',
        'model',
        'prompt',
        '',
        'note',
        'memo',
        'column_7',
        'column_8',
        'batch',
      ]);
      assert.deepEqual(rows[0]?.slice(0, 8), ['1', MODEL, 'p', '', '', '', '', '']);
      assert.deepEqual(rows[1]?.slice(0, 8), ['2', MODEL, 'a, b', 'x', 'n', 'm', 'beyond', "'=z"]);
      assert.deepEqual(
        rows.map((row) => row.slice(10, 12)),
        [
          ['3', 'invalid'],
          ['4', 'invalid'],
        ],
      );
    });

    test('keeps a row invalid although its cells are valid, until its error_code is emptied', async () => {
      const { db } = storage();
      const name = await bringIn(db, { extension: 'csv', content: `model,prompt,note\n${MODEL},p\n` });
      const text = await comesBack(db, name, 'csv');
      const mended = text.replace(',ragged-row,', ',,');
      assert.deepEqual(told(await submitExport(db, name, 'csv', mended)), { rows: 1, added: 1 });
      assert.deepEqual(
        (await rowsOf(db, name)).map(({ state }) => state),
        ['cancelled', 'pending'],
      );
    });

    test('is UTF-8, with the delimiter of the manifest, also of one in GB18030', async () => {
      const { db } = storage();
      // "模型;提示词" and a row, in GB18030.
      const content = Buffer.concat([
        Buffer.from('c4a3d0cd3bcce1cabeb4ca0a', 'hex'),
        Buffer.from(`${MODEL};`),
        Buffer.from('d2bbd6bbc3a80a', 'hex'),
      ]);
      const map = new Map([
        ['模型', 'model'],
        ['提示词', 'prompt'],
      ]);
      const name = await bringIn(db, { extension: 'csv', content, map });
      const text = await comesBack(db, name, 'csv');
      assert.ok(text.startsWith(`model;prompt;batch;row_key;`), text);
      assert.ok(text.includes(`${MODEL};一只猫;`), text);
      // Whoever repeats the flags of the manifest means the same.
      const again = await submitExport(db, name, 'csv', `\uFEFF${text}`, { map });
      assert.deepEqual(told(again), { rows: 1, known: 1 });
    });
  });

  describe('rows of an export without ids', () => {
    const two = `model,prompt,note\n${MODEL},p,first\n${MODEL},p,second\n${MODEL},q,\n`;

    test('keep their keys in any order, also when some are gone', async () => {
      const { db } = storage();
      const name = await bringIn(db, { extension: 'csv', content: two });
      const before = await rowsOf(db, name);
      const [header, first, second, third] = (await exportOf(db, name, 'csv')).split('\r\n');
      const turned = [header, third, second, first, ''].join('\r\n');
      assert.deepEqual(told(await submitExport(db, name, 'csv', turned)), { rows: 3, known: 3 });
      const fewer = [header, third, second, ''].join('\r\n');
      const kept = await submitExport(db, name, 'csv', fewer, { vanished: 'keep' });
      assert.deepEqual(told(kept), { rows: 2, known: 2 });
      assert.deepEqual(await rowsOf(db, name), before);
    });

    test('are new when they were added by hand, with the numbers that are left', async () => {
      const { db } = storage();
      const name = await bringIn(db, { extension: 'csv', content: two });
      const text = await exportOf(db, name, 'csv');
      const produced = await submitExport(db, name, 'csv', `${text}${MODEL},p,third\r\n${MODEL},q,again\r\n`);
      assert.deepEqual(told(produced), { rows: 5, added: 2, known: 3 });
      const numbers = (await rowsOf(db, name)).map(({ row_key: key }) => String(key).slice(-2));
      assert.deepEqual(numbers, ['#1', '#2', '#1', '#3', '#2']);
    });

    test('must be unique: a second row with the same key is a fault, and no video', async () => {
      const { db } = storage();
      const name = await bringIn(db, { extension: 'csv', content: two });
      const [header, first, ...rest] = (await exportOf(db, name, 'csv')).split('\r\n');
      const doubled = [header, first, first, ...rest].join('\r\n');
      const refused = submitExport(db, name, 'csv', doubled, { keepGoing: false });
      await assert.rejects(refused, { code: 'INVALID_ROWS', exitCode: 3 });
    });

    test('are new rows after an edit', async () => {
      const { db } = storage();
      const name = await bringIn(db, { extension: 'csv', content: two });
      const text = (await exportOf(db, name, 'csv')).replace(`${MODEL},q,`, `${MODEL},Q,`);
      await assert.rejects(submitExport(db, name, 'csv', text), { code: 'ROWS_VANISHED', exitCode: 3 });
      const produced = await submitExport(db, name, 'csv', text, { vanished: 'prune' });
      assert.deepEqual(told(produced), { rows: 3, added: 1, known: 2, pruned: 1 });
    });
  });

  describe('an export of one batch', () => {
    test('is refused by another batch, which has none of its rows', async () => {
      const { db } = storage();
      const [one, other] = [
        await bringIn(db, { extension: 'jsonl', content: `{"model":"${MODEL}","prompt":"a"}\n` }),
        await bringIn(db, { extension: 'csv', content: `model,prompt\n${MODEL},b\n` }),
      ];
      for (const format of FORMATS) {
        const text = await exportOf(db, one, format);
        await assert.rejects(submitExport(db, other, format, text), {
          code: 'NO_ROW_IN_COMMON',
          exitCode: 3,
        });
      }
    });

    test('takes edits of unsent rows, by id, and added columns', async () => {
      const { db } = storage();
      const name = await bringIn(db, {
        extension: 'csv',
        content: `id,model,prompt,duration\na,${MODEL},p,5\nb,${MODEL},q,5\n`,
      });
      const text = await exportOf(db, name, 'csv');
      const edited = text
        .replace('duration,', 'duration,mood,')
        .replace('a,viduq3p-720p,p,5,', 'a,viduq3p-720p,p,6,calm,')
        .replace('b,viduq3p-720p,q,5,', 'b,viduq3p-720p,q,5,wild,');
      const { rows, known, updated } = await submitExport(db, name, 'csv', edited);
      assert.deepEqual({ rows, known, updated }, { rows: 2, known: 1, updated: 1 });
      const inputs = (await rowsOf(db, name)).map(({ input }) => JSON.parse(String(input)) as unknown);
      assert.deepEqual(inputs, [
        { id: 'a', model: MODEL, prompt: 'p', duration: '6', mood: 'calm' },
        { id: 'b', model: MODEL, prompt: 'q', duration: '5', mood: 'wild' },
      ]);
      await comesBack(db, name, 'csv');
      await assert.rejects(submitExport(db, name, 'csv', text), { code: 'NEWER_IN_LEDGER', exitCode: 3 });
      const third = edited.replace('p,6,calm', 'p,7,calm');
      assert.equal((await submitExport(db, name, 'csv', third)).updated, 1, 'an edit of what is there now');
    });
  });
});
