import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyMap,
  checkMap,
  mapEntry,
  parseMap,
  missingColumns,
  formatColumns,
  understand,
} from '../../src/manifest/columns.ts';
import { checkRows } from '../../src/manifest/check-rows.ts';
import { openManifest } from '../../src/manifest/manifest.ts';
import { makeFolder } from './fixture.ts';

test('a map leads from the headers of a file to the fields', () => {
  const map = parseMap(['prompt=提示词', ' duration = 时长=秒 ']);
  assert.deepEqual(applyMap({ id: 1, 提示词: 'a', '时长=秒': 5 }, map), { id: 1, prompt: 'a', duration: 5 });
  assert.deepEqual(applyMap({ a: 1, b: 2 }, parseMap(['a=b', 'b=a'])), { b: 1, a: 2 });
});

test('a specification of another form, and a field or header given twice, are usage errors', () => {
  for (const spec of ['prompt', '=x', 'prompt=', '', ' = ']) {
    assert.throws(() => parseMap([spec]), { code: 'map-invalid', exitCode: 2 }, spec);
  }
  assert.throws(() => parseMap(['prompt=a', 'prompt=b']), { code: 'map-duplicate', exitCode: 2 });
  assert.throws(() => parseMap(['prompt=a', 'image=a']), { code: 'map-duplicate', exitCode: 2 });
});

test('a mapped header that a CSV does not have is a usage error which names those it has', () => {
  const manifest = { name: 'a.csv', columns: ['id', '提示'] };
  assert.throws(() => checkMap(manifest, parseMap(['prompt=提示词'])), {
    code: 'map-unknown-header',
    exitCode: 2,
    message: '--map prompt=提示词: a.csv has no column "提示词"',
    hint: 'Its columns are: id, 提示.',
  });
  checkMap(manifest, parseMap(['prompt=提示']));
  checkMap({ name: 'a.json' }, parseMap(['prompt=提示词']));
});

test('a column that already has the name of a mapped field is an error', () => {
  const map = parseMap(['prompt=text']);
  assert.throws(() => checkMap({ name: 'a.csv', columns: ['prompt', 'text'] }, map), {
    code: 'map-clash',
    exitCode: 2,
  });
  checkMap({ name: 'a.csv', columns: ['a', 'b'] }, parseMap(['a=b', 'b=a']));
  const entry = mapEntry({ line: 3, raw: { prompt: 'x', text: 'y' }, faults: [] }, map);
  assert.deepEqual(entry.raw, { prompt: 'y' });
  assert.deepEqual(
    entry.faults.map(({ rule, line, column }) => [rule, line, column]),
    [['map-clash', 3, 'prompt']],
  );
});

const understood = (columns: string[], map: string[] = []): Record<string, string> =>
  Object.fromEntries(understand({ columns }, parseMap(map)).understood);

test('headers that certainly mean a field are understood, in Chinese and in other spellings', () => {
  assert.deepEqual(
    understood(['编号', '模型', '提示词', '时长（秒）', '画幅', '首帧', '尾帧', '参考图', '种子']),
    {
      编号: 'id',
      模型: 'model',
      提示词: 'prompt',
      '时长（秒）': 'duration',
      画幅: 'aspect_ratio',
      首帧: 'image',
      尾帧: 'last_image',
      参考图: 'reference_image_urls',
      种子: 'extra_body.seed',
    },
  );
  assert.deepEqual(understood(['ID', 'Model', ' Aspect Ratio', 'Seconds', 'image_url', 'First Frame']), {
    ID: 'id',
    Model: 'model',
    ' Aspect Ratio': 'aspect_ratio',
    Seconds: 'duration',
  });
  for (const header of ['Duration (s)', 'Duration (sec.)', 'Duration in seconds', 'Clip duration'])
    assert.deepEqual(understood([header]), { [header]: 'duration' }, header);
  assert.deepEqual(formatColumns(understand({ columns: ['ID', 'model', 'prompt'] })), [
    '1 column is understood: "ID" as id (if "ID" is a column of your own: --map ID=ID)',
  ]);
});

test('nothing is guessed: not beside the field, not of two headers, not against --map, not in an export', () => {
  assert.deepEqual(understood(['prompt', '提示词']), {});
  assert.deepEqual(understood(['比例', '画幅']), {});
  assert.deepEqual(understood(['时长', 'Seconds', 'x'], ['duration=x']), {});
  assert.deepEqual(understood(['时长'], ['时长=时长']), {});
  assert.deepEqual(understood(['text', '镜号', '图片', '备注']), {});
  assert.equal(understand({ columns: ['时长'], exported: true }).understood.size, 0);
});

test('columns that are kept, and those that may be fields, are named in one line each', () => {
  const columns = ['镜号', 'model', 'prompt', '图片', '备注', 'batch', 'row_key'];
  assert.deepEqual(formatColumns(understand({ columns })), [
    '3 columns are kept and not sent: "镜号", "图片", "备注"',
    "if these are fields, say so: --map 'id=镜号' --map 'image=图片'",
  ]);
  assert.deepEqual(formatColumns(understand({ columns: ['id', 'model', 'prompt'] })), []);
});

test('a header without a prompt is told with a complete command line, or with the line that looks like it', () => {
  const lacking = { name: 'a.csv', faults: [], columns: ['模型', '描述'] };
  assert.match(missingColumns(lacking) ?? '', /has no prompt, .* say which it is with --map 'prompt=描述'$/);
  const titled = {
    name: 'a.csv',
    faults: [],
    columns: ['计划'],
    firstLines: ['计划', '编号;模型;提示词', '1;m;p'],
  };
  assert.match(missingColumns(titled) ?? '', /line 2 looks like the header: .* --skip-lines 1$/);
});

test('several maps in one text are one a line, or stand between commas', () => {
  assert.deepEqual(
    parseMap(['prompt=a,model=b']),
    new Map([
      ['a', 'prompt'],
      ['b', 'model'],
    ]),
  );
  assert.deepEqual(
    parseMap(['prompt=a, really,model=b']),
    new Map([
      ['a, really', 'prompt'],
      ['b', 'model'],
    ]),
  );
  assert.deepEqual(
    parseMap(['prompt=a,b=c\nmodel=d']),
    new Map([
      ['a,b=c', 'prompt'],
      ['d', 'model'],
    ]),
  );
});

test('rows are read below skipped lines, with the lines of the file, and under the names of the fields', async () => {
  await using folder = await makeFolder();
  const path = await folder.write(
    'a.csv',
    '第三季短片计划\r\n\r\n编号,模型,提示词,时长\r\na1,viduq3p-720p,清晨,99\r\n',
  );
  const { rows } = checkRows(await openManifest(path, { skipLines: 2 }));
  for await (const { line, raw, keyBasis, faults } of rows) {
    assert.deepEqual(raw, { id: 'a1', model: 'viduq3p-720p', prompt: '清晨', duration: '99' });
    assert.equal(keyBasis, 'a1');
    assert.equal(line, 4);
    assert.deepEqual(
      faults.map(({ rule }) => rule),
      ['duration-range'],
    );
  }
  await assert.rejects(openManifest(path, { skipLines: 9 }), { code: 'SKIP_LINES', exitCode: 3 });
});
