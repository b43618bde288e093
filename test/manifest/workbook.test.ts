import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { checkRows } from '../../src/manifest/check-rows.ts';
import { missingColumns } from '../../src/manifest/columns.ts';
import { openManifest } from '../../src/manifest/manifest.ts';
import { dateText } from '../../src/manifest/sheet-date.ts';
import type { ManifestEntry } from '../../src/manifest/entry.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`workbooks/${name}.xlsx`, import.meta.url));

async function entriesOf(
  path: string,
  options: { sheet?: string; skipLines?: number } = {},
): Promise<ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  for await (const entry of (await openManifest(path, options)).entries) entries.push(entry);
  return entries;
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vidbatch-workbook-'));
});
after(() => rm(folder, { recursive: true }));

test('a sheet is read as a table of texts, with the numbers of its rows', async () => {
  const manifest = await openManifest(fixture('prompts'));
  assert.deepEqual(manifest.columns, ['id', 'model', 'prompt', 'duration', 'aspect_ratio', '备注']);
  assert.deepEqual(
    (await entriesOf(fixture('prompts'))).map(({ line, raw }) => [line, raw]),
    [
      [
        2,
        {
          id: '001',
          model: 'viduq3p-720p',
          prompt: '清晨的渔港, "wide" aerial\nsecond line',
          duration: '5',
          aspect_ratio: '16:9',
          备注: 'a',
        },
      ],
      // The cell holds 2 and shows 002.
      [
        3,
        {
          id: '002',
          model: 'viduq3t-1080p',
          prompt: 'A market <b>&amp;</b>',
          duration: '8',
          aspect_ratio: '',
          备注: '',
        },
      ],
      [
        5,
        {
          id: 'x 4',
          model: 'viduq3p-720p',
          prompt: 'last row',
          duration: '16.1',
          aspect_ratio: '',
          备注: '',
        },
      ],
    ],
  );
});

test('formulas, dates and errors are refused, each by its cell', async () => {
  const faults = (await entriesOf(fixture('faults'), { sheet: 'rows' })).flatMap((entry) => entry.faults);
  assert.deepEqual(
    faults.map(({ rule, message }) => [rule, message.split(' ')[0]]),
    [
      ['cell-formula', 'C3'],
      ['cell-date', 'E4'],
      ['cell-date', 'A5'],
      ['cell-error', 'C6'],
    ],
  );
});

test('a date in a column that is not sent is kept as text, and is a fault of every other column', async () => {
  const check = async (template: boolean): Promise<[unknown, string[]][]> => {
    const rows: [unknown, string[]][] = [];
    for await (const { raw, faults } of checkRows(await openManifest(fixture('dates')), { template }).rows)
      rows.push([raw['拍摄日期'], faults.map(({ rule, column = '' }) => `${rule} ${column}`)]);
    return rows;
  };
  assert.deepEqual(await check(false), [
    ['2026-12-02', []],
    ['2026-12-03 14:30:00', []],
    ['2026-12-04', ['cell-date 画幅']],
    ['16:09:00', []],
  ]);
  assert.equal((await check(true)).flatMap(([, faults]) => faults).length, 5, 'a prompt may name the column');
});

test('a date is read by the calendar of its workbook', () => {
  assert.deepEqual(
    ['1', '59', '61', '46358', '46358.604166666664', '0.5', '1e9'].map((value) => dateText(value, 1900)),
    ['1900-01-01', '1900-02-28', '1900-03-01', '2026-12-02', '2026-12-02 14:30:00', '12:00:00', '1e9'],
  );
  assert.equal(dateText('44896', 1904), '2026-12-02');
});

test('no digit of a long number is lost, and a fraction is as the spreadsheet shows it', async () => {
  const rows = await entriesOf(fixture('numbers'));
  assert.deepEqual(
    rows.map(({ raw }) => [raw['id'], raw['duration']]),
    [
      ['738529527931269425', '16.1'],
      ['1.2345678901234568E+17', '5'],
    ],
  );
});

test('a header below a title is found, and told with the rows to skip', async () => {
  const titled = await openManifest(fixture('titled'), {});
  assert.match(missingColumns(titled) ?? '', /line 3 looks like the header: .* --skip-lines 2$/);
  const [row] = await entriesOf(fixture('titled'), { skipLines: 2 });
  assert.deepEqual([row?.line, row?.raw['提示词']], [4, 'a harbour, at dawn']);
});

test('a sheet must be named where there are several, and a wrong name lists them', async () => {
  await assert.rejects(openManifest(fixture('faults')), {
    code: 'SHEET_NEEDED',
    message: /"rows", "notes"$/,
  });
  await assert.rejects(openManifest(fixture('faults'), { sheet: 'nope' }), { code: 'NO_SUCH_SHEET' });
  const csv = join(folder, 'a.csv');
  await writeFile(csv, 'id\n1\n');
  await assert.rejects(openManifest(csv, { sheet: 'rows' }), { code: 'SHEET_OF_XLSX' });
});

test('a workbook with another extension is recognised, and can be named', async () => {
  const path = join(folder, 'export.csv');
  await copyFile(fixture('prompts'), path);
  await assert.rejects(openManifest(path), { code: 'manifest-binary', hint: 'Say so: --format xlsx.' });
  assert.equal((await openManifest(path, { format: 'xlsx' })).columns?.length, 6);
});

test('a broken workbook is refused with a reason, wherever it is broken', async () => {
  const whole = await readFile(fixture('prompts'));
  const path = join(folder, 'broken.xlsx');
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 0, max: 255 }),
      fc.boolean(),
      async (at, byte, cut) => {
        const broken = Buffer.from(whole);
        broken[at] = byte;
        await writeFile(path, cut ? broken.subarray(0, at) : broken);
        try {
          await entriesOf(path);
        } catch (error) {
          assert.match(
            (error as { code?: string }).code ?? String(error),
            /^(workbook-unreadable|manifest-\w+|SHEET_NEEDED|duplicate-header)$/,
          );
        }
      },
    ),
    { numRuns: 200 },
  );
});
