import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { openWorkbook } from '../../src/manifest/workbook.ts';
import { writeWorkbook } from '../../src/manifest/workbook-writer.ts';
import { sheetRecords } from '../../src/manifest/sheet-records.ts';
import { readCell, writeSheetText } from '../../src/manifest/export-format.ts';

let folder: string;
let files = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vidbatch-sheet-'));
});
after(() => rm(folder, { recursive: true }));

async function* each(rows: Iterable<readonly string[]>): AsyncGenerator<readonly string[]> {
  for (const row of rows) yield await Promise.resolve(row);
}

async function readBack(path: string): Promise<string[][]> {
  const workbook = await openWorkbook(path, undefined);
  try {
    const rows: string[][] = [];
    for await (const { cells, faults } of sheetRecords(path, workbook, 0)) {
      assert.deepEqual(faults, []);
      rows.push(cells);
    }
    return rows;
  } finally {
    workbook.close();
  }
}

async function throughFile(rows: Iterable<readonly string[]>): Promise<string[][]> {
  files += 1;
  const path = join(folder, `${files}.xlsx`);
  await writeWorkbook(each(rows), createWriteStream(path));
  return readBack(path);
}

test('every text comes back as it was: digits, Chinese, line breaks, control characters, and escapes', async () => {
  const texts = [
    '007',
    '12345678901234567890',
    '1e5',
    '16:9',
    '=1+1',
    '+1',
    '@x',
    '清晨的渔港 🎬',
    'a\nb\r\nc\rd',
    '\u0001\u001f\t',
    '_x0041_',
    '_x005F_x0041_',
    '<b>&amp;</b>',
    ' padded ',
    '\ufffe',
  ];
  const rows = [texts.map((_, n) => `column ${n}`), texts];
  assert.deepEqual(await throughFile(rows), rows);
});

test('any text comes back, also as the cell of an export', async () => {
  const cell = fc.string({
    unit: fc.constantFrom(
      'a',
      '_',
      'x',
      '0',
      '4',
      "'",
      '=',
      '\r',
      '\n',
      '\u0002',
      '渔',
      '&',
      '<',
      ' ',
      ':',
      '"',
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 5 }), async (cells) => {
      const written = [...cells.map(writeSheetText), 'end'];
      const [read = []] = await throughFile([written]);
      assert.deepEqual(read, written);
      assert.deepEqual(
        read.slice(0, -1).map((one) => readCell(one).value),
        cells,
      );
    }),
    { numRuns: 100 },
  );
});

test('a text that is no formula stands as it is, and only what reading would change is marked', () => {
  assert.deepEqual(['=1+1', '-5', "it's", "'=1", "':1"].map(writeSheetText), [
    '=1+1',
    '-5',
    "it's",
    "''=1",
    "'':1",
  ]);
});

test('20,000 rows come back in their order', async () => {
  const rows = Array.from({ length: 20_000 }, (_, n) => [
    String(n).padStart(8, '0'),
    `提示 ${n}`,
    'x'.repeat(n % 50),
  ]);
  const read = await throughFile([['id', 'prompt', 'rest'], ...rows]);
  assert.equal(read.length, 20_001);
  assert.deepEqual(read.slice(1), rows);
});

test('a file that takes no more stops the reading of rows', async () => {
  let taken = 0;
  const endless = function* (): Generator<string[]> {
    for (;;) {
      taken += 1;
      yield [String(taken), String(Math.random())];
    }
  };
  const stuck = new Writable({ write: () => undefined });
  const writing = writeWorkbook(each(endless()), stuck);
  let before = -1;
  for (let still = 0; still < 500; still = taken === before ? still + 1 : 0) {
    before = taken;
    await turn();
  }
  assert.ok(taken < 100_000, `${taken} rows were read`);
  stuck.destroy(new Error('enough'));
  await assert.rejects(writing, /enough/);
});

test('what no sheet can hold is refused with its cell', async () => {
  await assert.rejects(
    throughFile([
      ['id', 'image'],
      ['a', 'x'.repeat(32_768)],
    ]),
    /the cell B2 would hold 32,768 characters/,
  );
  await assert.rejects(throughFile([Array<string>(16_385).fill('x')]), /16,385 columns/);
});
