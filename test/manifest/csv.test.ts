import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { quoteFlaw, csvRecords } from '../../src/manifest/csv-records.ts';
import { collect, inChunks, read, rules } from './fixture.ts';

test('a row is the text of its cells, exactly as it stands, under trimmed headers', async () => {
  const { manifest, entries } = await read('a.csv', ' id , prompt\n1,  a cat \n2,=1+1\n3,#REF!\n4,🎬\n');
  assert.equal(manifest.format, 'csv');
  assert.equal(manifest.encoding, 'utf-8');
  assert.equal(manifest.delimiter, ',');
  assert.deepEqual(manifest.columns, ['id', 'prompt']);
  assert.deepEqual(manifest.faults, []);
  assert.deepEqual(entries, [
    { line: 2, raw: { id: '1', prompt: '  a cat ' }, faults: [] },
    { line: 3, raw: { id: '2', prompt: '=1+1' }, faults: [] },
    { line: 4, raw: { id: '3', prompt: '#REF!' }, faults: [] },
    { line: 5, raw: { id: '4', prompt: '🎬' }, faults: [] },
  ]);
});

for (const [name, newline] of [
  ['LF', '\n'],
  ['CR LF', '\r\n'],
  ['CR', '\r'],
] as const) {
  test(`lines are counted by ${name}, with a BOM, blank lines and line breaks in quotes`, async () => {
    const lines = ['\uFEFFid,prompt', '', '1,"a', '', 'b"', '', ',', '2,c', '""," "', '3,d'];
    const { manifest, entries } = await read('a.csv', lines.join(newline));
    assert.deepEqual(manifest.columns, ['id', 'prompt']);
    assert.deepEqual(
      entries.map(({ line, raw }) => [line, raw['id']]),
      [
        [3, '1'],
        [8, '2'],
        [10, '3'],
      ],
    );
    assert.equal(entries[0]?.raw['prompt'], `a${newline}${newline}b`);
  });
}

test('line breaks of several kinds in one file are each one line', async () => {
  const { entries } = await read('a.csv', 'id,p\r\n1,a\n2,b\r3,c\r\n\n\r4,d');
  assert.deepEqual(
    entries.map(({ line }) => line),
    [2, 3, 4, 7],
  );
});

const nasty = fc
  .array(
    fc.constantFrom('"', '""', ',', ';', '\t', '\r', '\n', '\r\n', '🎬', '提', ' ', 'a', '\0', '\uFEFF', "'"),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));

test('any cells come back equal, with the line on which their row begins', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(nasty, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(',', ';', '\t', '|', ','),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: 1, max: 9 }),
      async (rows, delimiter, newline, blankLines, chunkSize) => {
        let text = '';
        const expected = rows.map((cells) => {
          text += newline.repeat(blankLines);
          const line = text.split(/\r\n|\r|\n/).length;
          text += serialise(cells, delimiter) + newline;
          return { line, cells, faults: [] };
        });
        const records = csvRecords(inChunks(text, chunkSize), { delimiter, firstLine: 1 });
        assert.deepEqual(await collect(records), expected);
      },
    ),
    { numRuns: 300 },
  );
});

function serialise(cells: readonly string[], delimiter: string): string {
  const quote = (cell: string): string =>
    /["\r\n]/.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return cells.map(quote).join(delimiter);
}

test('the delimiter that the header has most is taken, else the one that the rows agree on', async () => {
  const sniffed = async (text: string): Promise<string | undefined> =>
    (await read('a.csv', text)).manifest.delimiter;
  assert.equal(await sniffed('model;prompt;id\na;"b,c,d,e,f";1\n'), ';');
  assert.equal(await sniffed('model\tprompt\na\tb, c\n'), '\t');
  assert.equal(await sniffed('"a;b;c",d\n1,2\n'), ',');
  assert.equal(await sniffed('id;prompt, or text\n1;a\n2;b\n'), ';');
  assert.equal(await sniffed('prompt\na; b; c\n'), ',');
});

test('a given delimiter, a .tsv and the sep= line of Excel need no sniffing', async () => {
  assert.equal((await read('a.csv', 'a|b\n1|2\n', { delimiter: '|' })).manifest.delimiter, '|');
  assert.equal((await read('a.csv', 'a,x\tb\n1,x\t2\n', { delimiter: 'tab' })).manifest.delimiter, '\t');
  assert.deepEqual((await read('a.tsv', 'a,b,c\td\n1\t2\n')).manifest.columns, ['a,b,c', 'd']);
  const { manifest, entries } = await read('a.csv', '\uFEFFsep=;\r\na,x;b\r\n1;2\r\n');
  assert.deepEqual(manifest.columns, ['a,x', 'b']);
  assert.deepEqual(entries, [{ line: 3, raw: { 'a,x': '1', b: '2' }, faults: [] }]);
  await assert.rejects(read('a.csv', 'a\n', { delimiter: '||' }), { code: 'delimiter-invalid', exitCode: 2 });
});

test('a row with too few or too many cells is an error that keeps what was legible', async () => {
  const { entries } = await read('a.csv', 'a,b,c\n1,2\n1,2,3,4\n1,2,3,,\n1,2,\n');
  assert.deepEqual(rules(entries), ['2 ragged-row', '3 ragged-row']);
  assert.match(entries[0]?.faults[0]?.message ?? '', /^2 cells where the header has 3/);
  assert.match(entries[1]?.faults[0]?.message ?? '', /^4 cells where the header has 3/);
  assert.deepEqual(entries[0]?.raw, { a: '1', b: '2' });
  assert.deepEqual(entries[2]?.raw, { a: '1', b: '2', c: '3' });
});

test('two columns of one name are an error of the file, and neither is a field', async () => {
  const { manifest, entries } = await read('a.csv', 'id,prompt, id\n1,a,2\n');
  assert.deepEqual(
    manifest.faults.map(({ severity, rule, column, line }) => ({ severity, rule, column, line })),
    [{ severity: 'error', rule: 'duplicate-header', column: 'id', line: 1 }],
  );
  assert.match(manifest.faults[0]?.message ?? '', /columns 1 and 3/);
  assert.deepEqual(entries[0]?.raw, { column_1: '1', prompt: 'a', column_3: '2' });
});

test('an unnamed column is dropped where it is empty, and kept with a warning where it is not', async () => {
  const { manifest, entries } = await read('a.csv', 'a,,b,,\n1,,2,,\n1,x,2,,\n1,,2\n');
  assert.deepEqual(manifest.columns, ['a', 'b']);
  assert.deepEqual(
    entries.map(({ raw }) => raw),
    [
      { a: '1', b: '2' },
      { a: '1', column_2: 'x', b: '2' },
      { a: '1', b: '2' },
    ],
  );
  assert.deepEqual(rules(entries), ['3 unnamed-column']);
  assert.equal(entries[1]?.faults[0]?.severity, 'warning');
});

for (const [what, broken, pattern] of [
  ['a quote that is never closed', '2,"b\n3,c\n', /never closed.*rest of the file could not be read/],
  ['text after a closing quote', '2,"b "x" y\n3,c\n', /after the closing quote/],
  ['a NUL after a closing quote', '2,"b"\0"\n3,c\n', /after the closing quote.*rest of the file/],
  ['a quote after a space, left open', '2, "b\n3,c"\n', /space before the quote.*rest of the file/],
] as const) {
  test(`${what} is an error of the row where it begins, and the rows before it are read`, async () => {
    const { entries } = await read('a.csv', `id,p\n1,"a\r\na"\n\n${broken}`);
    assert.deepEqual(
      entries.map(({ line, raw }) => [line, raw]),
      [
        [2, { id: '1', p: 'a\r\na' }],
        [5, {}],
      ],
    );
    assert.deepEqual(rules(entries), ['5 csv-quote']);
    assert.match(entries[1]?.faults[0]?.message ?? '', pattern);
    assert.equal(entries[1]?.faults[0]?.scope, 'file');
  });
}

test('a quote within a cell that is not quoted is a quote, with a warning', async () => {
  const { entries } = await read('a.csv', 'id,p\n1,a 5" lens\n2,"a ""5"" lens"\n3,b "x"y\n');
  assert.deepEqual(
    entries.map(({ raw }) => raw['p']),
    ['a 5" lens', 'a "5" lens', 'b "x"y'],
  );
  assert.deepEqual(rules(entries), ['2 quote-in-cell', '4 quote-in-cell']);
  assert.ok(entries.every(({ faults }) => faults.every(({ severity }) => severity === 'warning')));
});

test('broken quotes that close within their line end nothing, and refuse the file', async () => {
  const { entries } = await read('a.csv', 'id,p\n1,"He said "hi" and left"\n2, "x"\n3,"b"\0"c"\n4,c\n');
  assert.deepEqual(rules(entries), ['2 csv-quote', '3 csv-quote', '4 csv-quote']);
  assert.deepEqual(entries.at(-1)?.raw, { id: '4', p: 'c' });
  assert.ok(entries.slice(0, 3).every(({ faults: [fault] }) => fault?.scope === 'file'));
});

test('cells that are quoted correctly have no flaw, with any content', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', ' ', 'a', '\0', '"') })),
      (cells) => {
        const text = cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',');
        assert.equal(quoteFlaw(`${text}\r\n`, ','), undefined);
      },
    ),
  );
});

test('a row over the limit is an error, not a full memory', async () => {
  const text = `a,b\n1,2\n3,${'x'.repeat(5000)}\n`;
  const records = await collect(
    csvRecords(inChunks(text, 100), { delimiter: ',', firstLine: 1, maxRecord: 1000 }),
  );
  assert.deepEqual(
    records.map(({ line, faults }) => [line, faults[0]?.rule]),
    [
      [1, undefined],
      [2, undefined],
      [3, 'record-too-large'],
    ],
  );
});

test('a cell of 10 MB is read', async () => {
  const cell = '"提示\r\n'.repeat(1_000_000);
  const { entries } = await read('a.csv', `a,b\n1,"${cell.replaceAll('"', '""')}"\n2,x\n`);
  assert.equal(entries[0]?.raw['b'], cell);
  assert.equal(entries[1]?.line, 1_000_003);
});

test('a header alone has no entries; one that cannot be read refuses the file', async () => {
  assert.deepEqual((await read('a.csv', 'a,b\n\n,\n')).entries, []);
  await assert.rejects(read('a.csv', 'a,"b\n1,2\n'), {
    code: 'manifest-header',
    exitCode: 3,
    message: /a\.csv:1: the header cannot be read: a quote that opens a cell/,
  });
});

test('a header named __proto__ is a column like any other', async () => {
  const { entries } = await read('a.csv', '__proto__,a\nx,1\n');
  assert.deepEqual(Object.entries(entries[0]?.raw ?? {}), [
    ['__proto__', 'x'],
    ['a', '1'],
  ]);
});
