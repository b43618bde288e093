import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonlEntries } from '../../src/manifest/jsonl.ts';
import { collect, inChunks, read, rules } from './fixture.ts';

test('each line is a row; blank lines are counted and are not rows; the last line needs no line break', async () => {
  const { manifest, entries } = await read('a.ndjson', '\uFEFF{"a": 1}\r\n\r\n  \n{"a": "é"}\n{"a": 3}');
  assert.equal(manifest.format, 'jsonl');
  assert.deepEqual(entries, [
    { line: 1, raw: { a: 1 }, faults: [] },
    { line: 4, raw: { a: 'é' }, faults: [] },
    { line: 5, raw: { a: 3 }, faults: [] },
  ]);
});

test('a bad line is an error of that line, and reading continues', async () => {
  const { entries } = await read(
    'a.jsonl',
    [
      '{"a": 1',
      '[1]',
      'null',
      `{'a': 1}`,
      '{"a": "x\0y"}',
      '{"a": 1}{"b": 2}',
      '{"a": 1, "a": 2}',
      '{"b": 2}',
    ].join('\n'),
  );
  assert.deepEqual(rules(entries), [
    '1 bad-json',
    '2 row-not-object',
    '3 row-not-object',
    '4 bad-json',
    '5 bad-json',
    '6 bad-json',
    '7 duplicate-key',
  ]);
  assert.deepEqual(
    [0, 3, 4, 5].map((index) => entries[index]?.faults[0]?.message),
    [
      'line 1 column 8: expected "," or "}", found the end',
      'line 4 column 2: expected a key in double quotes or "}", found "\'"',
      'line 5 column 9: a string cannot hold a raw "\\u0000"; write it as an escape',
      'line 6 column 9: expected the end, found "{"',
    ],
  );
  assert.deepEqual(entries.at(-1), { line: 8, raw: { b: 2 }, faults: [] });
});

test('a line over the limit is an error of that line, and reading continues', async () => {
  const text = `{"a": 1}\n{"b": "${'x'.repeat(5000)}"}\n{"c": 3}\n`;
  const entries = await collect(jsonlEntries(inChunks(text, 100), { maxRecord: 1000 }));
  assert.deepEqual(rules(entries), ['2 record-too-large']);
  assert.deepEqual(entries[2]?.raw, { c: 3 });
});

test('a string of 10 MB is read', async () => {
  const prompt = '提"\\示'.repeat(2_500_000);
  const { entries } = await read('a.jsonl', `${JSON.stringify({ prompt })}\n{"b": 2}\n`);
  assert.equal(entries[0]?.raw['prompt'], prompt);
  assert.equal(entries[1]?.line, 2);
});

test('a number that cannot be held exactly is a fault with its digits, in every column and in the defaults', async () => {
  for (const [name, text] of [
    ['a.jsonl', '{"extra_body":{"k":738529527931269425}}'],
    ['a.jsonl', '{"note":[738529527931269425]}'],
    ['a.json', '{"defaults":{"extra_body":{"k":738529527931269425}},"rows":[{}]}'],
    ['a.json', '{"rows":[{}],"defaults":{"extra_body":{"k":738529527931269425}}}'],
  ] as const) {
    const { entries } = await read(name, text);
    assert.deepEqual(rules(entries), ['1 number-precision'], text);
    assert.match(entries[0]?.faults[0]?.message ?? '', /738529527931269425/);
  }
});

test('a file of the provider keeps such a number as its digits', async () => {
  for (const name of ['a.json', 'a.jsonl']) {
    const text =
      name === 'a.json' ? '{"data":[{"task_id":738529527931269425}]}' : '{"task_id":738529527931269425}';
    const { entries } = await read(name, text, { wrapped: true });
    assert.deepEqual(entries, [{ line: 1, raw: { task_id: '738529527931269425' }, faults: [] }]);
  }
});

test('a row that is nested too deep is a fault of its line, and the rows around it are read', async () => {
  const deep = `{"note":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`;
  const { entries } = await read('a.jsonl', `{"id":"a"}\n${deep}\n{"id":"c"}\n`);
  assert.deepEqual(rules(entries), ['2 nesting']);
  assert.deepEqual(
    entries.map(({ raw }) => raw),
    [{ id: 'a' }, {}, { id: 'c' }],
  );
});
