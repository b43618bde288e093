import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyMap, checkMap, mapEntry, parseMap } from '../../src/manifest/columns.ts';

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
