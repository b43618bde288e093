import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { jsonEntries } from '../../src/manifest/json-list.ts';
import { collect, inChunks, read, rules } from './fixture.ts';

const message = (reading: Awaited<ReturnType<typeof read>>, index: number): string =>
  reading.entries[index]?.faults[0]?.message ?? '';

test('a list of rows is read with the line on which each begins', async () => {
  const { manifest, entries } = await read(
    'a.json',
    '[\n {"a": 1,\n  "b": [2, {}]},\n\n {"a": "é🎬"}, {}\n]\n',
  );
  assert.equal(manifest.format, 'json');
  assert.deepEqual(entries, [
    { line: 2, raw: { a: 1, b: [2, {}] }, faults: [] },
    { line: 5, raw: { a: 'é🎬' }, faults: [] },
    { line: 5, raw: {}, faults: [] },
  ]);
  assert.deepEqual((await read('a.json', ' [ ] ')).entries, []);
});

test('any rows in any chunks come back with their lines', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }), { maxLength: 4 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(0, 1, 2),
      async (rows, size, indent) => {
        let text = '[';
        const expected = rows.map((raw, index) => {
          text += index === 0 ? ' ' : ',\r\n';
          const line = text.split('\n').length;
          const json = JSON.stringify(raw, null, indent);
          text += json;
          return { line, raw: JSON.parse(json) as unknown, faults: [] };
        });
        const source = { open: () => inChunks(`${text}\n]`, size), rereadable: false };
        assert.deepEqual(await collect(jsonEntries(source)), expected);
      },
    ),
    { numRuns: 300 },
  );
});

test('defaults are merged deeply, the row wins, and null stays null', async () => {
  const text = `{"defaults": {"model": "m", "n": 1, "extra_body": {"seed": 1, "audio": false}, "l": [1]},
    "rows": [{"prompt": "a", "extra_body": {"seed": 2}}, {"model": null, "extra_body": null, "l": [2]}]}`;
  const { entries } = await read('a.json', text);
  assert.deepEqual(
    entries.map(({ raw }) => raw),
    [
      { model: 'm', n: 1, extra_body: { seed: 2, audio: false }, l: [1], prompt: 'a' },
      { model: null, n: 1, extra_body: null, l: [2] },
    ],
  );
});

test('rows share nothing of the defaults', async () => {
  const { entries } = await read('a.json', '{"defaults": {"x": {"y": [1]}}, "rows": [{}, {}]}');
  assert.notEqual(entries[0]?.raw['x'], entries[1]?.raw['x']);
});

test('defaults may come after the rows in a file, however large', async () => {
  const rows = Array.from(
    { length: 3000 },
    (_, n) => `{"id": ${n}, "prompt": "${'"rows": [} '.replaceAll('"', '\\"').repeat(9)}"}`,
  );
  const { entries } = await read('a.json', `{"rows": [${rows.join(',\n')}], "defaults": {"model": "m"}}`);
  assert.equal(entries.length, 3000);
  assert.ok(entries.every(({ raw, faults }) => raw['model'] === 'm' && faults.length === 0));
  assert.equal(entries.at(-1)?.line, 3000);
});

test('no row is handed out when the defaults after the rows cannot be read', async () => {
  const broken = await read('a.json', '{"rows": [{"a": 1}],\n"defaults": {"model": }}');
  assert.deepEqual(rules(broken.entries), ['2 bad-json']);
  const unclosed = await read('a.json', '{"rows": [{"a": "1}],\n"defaults": {"model": "m"}}');
  assert.deepEqual(rules(unclosed.entries).length, unclosed.entries.length);
  assert.equal(broken.entries.length, 1);
  const unknown = await read('a.json', '{"rows": [{"a": 1}], "default": {"model": "m"}}');
  assert.equal(unknown.entries.length, 1);
  assert.deepEqual(rules(unknown.entries), ['1 json-shape']);
});

test('__proto__ is a key like any other, in rows and in defaults', async () => {
  const text = '{"defaults": {"__proto__": {"polluted": 1}}, "rows": [{}, {"__proto__": {"more": 2}}]}';
  const { entries } = await read('a.json', text);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  assert.equal(entries[0]?.raw['polluted'], undefined);
  assert.deepEqual(
    entries.map(({ raw }) => JSON.stringify(raw)),
    ['{"__proto__":{"polluted":1}}', '{"__proto__":{"polluted":1,"more":2}}'],
  );
});

test('other shapes are refused with the shapes that are allowed', async () => {
  for (const text of [
    '{"model": "m", "prompt": "p"}',
    '{}',
    '{"defaults": {}}',
    '"text"',
    '17',
    'model: x',
  ]) {
    const reading = await read('a.json', text);
    assert.equal(reading.entries.length, 1, text);
    assert.match(message(reading, 0), /allowed are a list of rows, .* or {"defaults"/, text);
  }
  assert.deepEqual(rules((await read('a.json', '{"rows": {}}')).entries), ['1 bad-json']);
  assert.deepEqual(rules((await read('a.json', '{"defaults": [], "rows": []}')).entries), ['1 bad-json']);
  assert.deepEqual(rules((await read('a.json', '{"rows": [], "rows": []}')).entries), ['1 duplicate-key']);
});

test('a row that is not an object is an error, and reading continues', async () => {
  const reading = await read('a.json', '[{}, 1, null,\n[2], "x", {"a": 1}]');
  assert.deepEqual(rules(reading.entries), [
    '1 row-not-object',
    '1 row-not-object',
    '2 row-not-object',
    '2 row-not-object',
  ]);
  assert.match(message(reading, 2), /not null$/);
  assert.deepEqual(reading.entries.at(-1)?.raw, { a: 1 });
});

test('broken JSON within a row names line, column and what was found, and reading continues', async () => {
  const reading = await read('a.json', '[{"a": 1},\n {"b": 2,\n  "c": tru},\n {"d": 1,}, {"e": 5}]');
  assert.deepEqual(rules(reading.entries), ['2 bad-json', '4 bad-json']);
  assert.equal(message(reading, 1), 'line 3 column 8: expected a value, found "tru"');
  assert.equal(message(reading, 2), 'line 4 column 10: expected a key in double quotes, found "}"');
  assert.deepEqual(reading.entries.at(-1)?.raw, { e: 5 });
});

test('broken JSON between rows ends the reading after the rows before it', async () => {
  const missing = await read('a.json', '[{"a": 1}\n{"b": 2}]');
  assert.deepEqual(missing.entries[0]?.raw, { a: 1 });
  assert.match(message(missing, 1), /^line 2 column 1: expected "," or "]" after a row, found "{"; the rest/);
  assert.deepEqual(rules((await read('a.json', '[{"a": 1},]')).entries), ['1 bad-json']);
  assert.deepEqual(rules((await read('a.json', '[{"a": 1},\n{"b')).entries), ['2 bad-json']);
  assert.deepEqual(rules((await read('a.json', '[{"a": 1}')).entries), ['1 bad-json']);
  assert.deepEqual(rules((await read('a.json', '[{"a": 1}]\n[]')).entries), ['2 bad-json']);
});

test('a key that occurs twice in one object is an error', async () => {
  const text =
    '[{"a": 1, "b": {"a": "a", "c": "a\\"", "\\u0063": 2}}, {"x": [{"y": 1}, {"y": 2}], "y": "x"}]';
  const { entries } = await read('a.json', text);
  assert.deepEqual(rules(entries), ['1 duplicate-key']);
  assert.equal(entries[0]?.faults[0]?.column, 'b.c');
});

test('NUL and lone surrogates pass as they are', async () => {
  const { entries } = await read('a.json', String.raw`[{"a": "x\u0000y\ud800z"}]`);
  assert.deepEqual(entries, [{ line: 1, raw: { a: 'x\0y\uD800z' }, faults: [] }]);
});

test('a row over the limit ends the reading with an error', async () => {
  const text = `[{"a": 1}, {"b": "${'x'.repeat(5000)}"}, {"c": 3}]`;
  const source = { open: () => inChunks(text, 100), rereadable: true, maxRecord: 1000 };
  const entries = await collect(jsonEntries(source));
  assert.deepEqual(rules(entries), ['1 record-too-large']);
  assert.equal(entries.length, 2);
});

test('reading any text ends without an exception', async () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '"rows"',
    '"defaults"',
    '1',
    'x',
    ' ',
    '\n',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 20 }), fc.boolean(), async (parts, rereadable) => {
      const text = parts.join('');
      const entries = await collect(jsonEntries({ open: () => inChunks(text, 3), rereadable }));
      if (!isJson(text)) assert.notDeepEqual(rules(entries), []);
    }),
    { numRuns: 500 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
