import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { openManifest } from '../../src/manifest/manifest.ts';
import { decodeText } from '../../src/manifest/decode.ts';
import { collect, gb18030, read, rules, utf16be } from './fixture.ts';

const CSV = '编号,提示词\r\n1,镜头缓慢推进\r\n';
const EXPECTED = [{ line: 2, raw: { 编号: '1', 提示词: '镜头缓慢推进' }, faults: [] }];
const BOM = '\uFEFF';

for (const [name, bytes, encoding] of [
  ['UTF-8', Buffer.from(CSV), 'utf-8'],
  ['UTF-8 with a BOM', Buffer.from(BOM + CSV), 'utf-8'],
  ['UTF-16LE', Buffer.from(CSV, 'utf16le'), 'utf-16le'],
  ['UTF-16LE with a BOM', Buffer.from(BOM + CSV, 'utf16le'), 'utf-16le'],
  ['UTF-16BE', utf16be(CSV), 'utf-16be'],
  ['UTF-16BE with a BOM', utf16be(BOM + CSV), 'utf-16be'],
  ['GB18030', gb18030(CSV), 'gb18030'],
  ['GB18030 with a BOM', Buffer.concat([Buffer.from([0x84, 0x31, 0x95, 0x33]), gb18030(CSV)]), 'gb18030'],
] as const) {
  test(`${name} is recognised`, async () => {
    const { manifest, entries } = await read('a.csv', bytes);
    assert.equal(manifest.encoding, encoding);
    assert.deepEqual(manifest.faults, []);
    assert.deepEqual(manifest.columns, ['编号', '提示词']);
    assert.deepEqual(entries, EXPECTED);
  });
}

test('JSON and JSONL are read in any of them', async () => {
  const row = '{"prompt": "镜头缓慢推进"}';
  for (const encode of [(t: string) => Buffer.from(BOM + t, 'utf16le'), utf16be, gb18030]) {
    for (const [name, text] of [
      ['a.json', `[\n${row}]`],
      ['a.jsonl', `\n${row}`],
    ] as const) {
      const { entries } = await read(name, encode(text));
      assert.deepEqual(entries, [{ line: 2, raw: { prompt: '镜头缓慢推进' }, faults: [] }]);
    }
  }
});

test('a character that the edge of the head cuts is no bad byte', async () => {
  for (let shift = 0; shift < 4; shift += 1) {
    const text = `p\n${'x'.repeat(65_530 + shift)}${'提示'.repeat(20)}\n`;
    const utf8 = await openManifest('-', { format: 'csv', stdin: Readable.from([Buffer.from(text)]) });
    assert.equal(utf8.encoding, 'utf-8');
    assert.equal(rules(await collect(utf8.entries)).length, 0);
  }
});

test('Chinese after a long beginning of plain ASCII is found in a file', async () => {
  const ascii = `id,prompt\n${'1,plain\n'.repeat(20_000)}`;
  const gb = await read('a.csv', gb18030(`${ascii}2,镜头缓慢推进\n`));
  assert.equal(gb.manifest.encoding, 'gb18030');
  assert.equal(gb.entries.at(-1)?.raw['prompt'], '镜头缓慢推进');
  assert.equal((await read('a.csv', `${ascii}2,镜头\n`)).manifest.encoding, 'utf-8');
});

test('on standard input it is an error of its row, which says how to continue', async () => {
  const bytes = gb18030(`id,prompt\n${'1,plain\n'.repeat(20_000)}2,镜头\n3,plain\n`);
  const manifest = await openManifest('-', {
    format: 'csv',
    stdin: Readable.from([bytes.subarray(0, 70_000), bytes.subarray(70_000)]),
  });
  const entries = await collect(manifest.entries);
  assert.deepEqual(rules(entries), ['20002 bad-bytes']);
  assert.match(
    entries[20_000]?.faults[0]?.message ?? '',
    /^byte 160012 .* not utf-8.*--encoding gb18030 .*--encoding windows-1252/,
  );
  assert.deepEqual(entries.at(-1), { line: 20_003, raw: { id: '3', prompt: 'plain' }, faults: [] });
});

for (const [name, before, after] of [
  ['a.csv', 'p\n提示词提示词\n"a\nb', 'c"\nd\n'],
  ['a.jsonl', '\n{"p": "提示词提示词"}\n{"p": "a', '"}\n{"p": "d"}\n'],
  ['a.json', '[\n{"p": "提示词提示词"},\n{"p": "a', '"},\n{"p": "d"}]'],
] as const) {
  test(`one bad byte in UTF-8 is an error of its row alone, with its offset: ${name}`, async () => {
    const head = Buffer.from(before);
    const { manifest, entries } = await read(
      name,
      Buffer.concat([head, Buffer.from([0xff]), Buffer.from(after)]),
    );
    assert.equal(manifest.encoding, 'utf-8');
    assert.deepEqual(rules(entries), ['3 bad-bytes']);
    assert.match(
      entries[1]?.faults[0]?.message ?? '',
      new RegExp(`^byte ${head.length} of the file is not utf-8`),
    );
    assert.equal(entries[2]?.raw['p'], 'd');
  });
}

test('UTF-8 with a broken character stays UTF-8, even where GB18030 could read other Chinese into it', async () => {
  const text = Buffer.from('p\n镜头缓慢推\n提示词提示词提示\n');
  const broken = Buffer.concat([text.subarray(0, 4), text.subarray(5)]);
  assert.doesNotThrow(() => new TextDecoder('gb18030', { fatal: true }).decode(broken));
  const { manifest, entries } = await read('a.csv', broken);
  assert.equal(manifest.encoding, 'utf-8');
  assert.deepEqual(rules(entries), ['2 bad-bytes']);
  assert.equal(entries[1]?.raw['p'], '提示词提示词提示');
});

test('a bad byte between the rows of JSON is named too', async () => {
  const { entries } = await read(
    'a.json',
    Buffer.concat([Buffer.from('[{"p": "提示"}, '), Buffer.from([0xff, 0x5d])]),
  );
  assert.deepEqual(rules(entries), ['1 bad-bytes']);
});

test('a file cut within a character is an error of its last row', async () => {
  const cut = Buffer.from('p\n提示词\n提示').subarray(0, -1);
  const { entries } = await read('a.csv', cut);
  assert.deepEqual(rules(entries), ['3 bad-bytes']);
  assert.match(entries[1]?.faults[0]?.message ?? '', /^byte 15 /);
  const odd = await read('a.csv', Buffer.from(`${BOM}p\n提`, 'utf16le').subarray(0, -1));
  assert.deepEqual(rules(odd.entries), ['2 bad-bytes']);
});

test('a file in quite another encoding is given up on after a hundred bad places', async () => {
  const bytes = Buffer.concat([Buffer.from('p\n提示词\n'), Buffer.from('caf\xe9,\n'.repeat(500), 'latin1')]);
  const { entries } = await read('a.csv', bytes, { encoding: 'utf-8' });
  assert.equal(entries.length, 101);
  assert.match(
    entries.at(-1)?.faults[0]?.message ?? '',
    /100th such place, so the rest of the file was not read/,
  );
});

test('--encoding overrides what the bytes look like', async () => {
  const latin = Buffer.from('p\ncaf\xe9 cr\xe8me\n', 'latin1');
  assert.equal((await read('a.csv', latin, { encoding: 'latin1' })).entries[0]?.raw['p'], 'café crème');
  assert.equal((await read('a.csv', latin, { encoding: 'latin1' })).manifest.encoding, 'windows-1252');
  const utf16 = await read('a.csv', Buffer.from(BOM + CSV, 'utf16le'), { encoding: 'utf-16' });
  assert.deepEqual(utf16.entries, EXPECTED);
  await assert.rejects(read('a.csv', CSV, { encoding: 'klingon' }), {
    code: 'encoding-unknown',
    exitCode: 2,
  });
});

test('what can be read as GB18030 but hardly is Chinese gets a warning', async () => {
  const { manifest } = await read('a.csv', Buffer.from('p\ncaf\xe9a cr\xe8me\n', 'latin1'));
  assert.equal(manifest.encoding, 'gb18030');
  assert.deepEqual(
    manifest.faults.map(({ severity, rule }) => [severity, rule]),
    [['warning', 'encoding-guessed']],
  );
});

test('a stray NUL in text is passed on to the rules of the request', async () => {
  const { entries } = await read('a.csv', 'id,prompt\n1,a long enough prompt\0\n');
  assert.deepEqual(entries[0]?.raw, { id: '1', prompt: 'a long enough prompt\0' });
});

test('however the bytes are cut into chunks, the same text and the same bad bytes are found', async () => {
  const samples = fc.constantFrom<readonly [string, Buffer]>(
    ['utf-8', Buffer.from('a提🎬é\n')],
    ['utf-8', Buffer.from([0x61, 0xe4, 0xbd, 0x61, 0xff, 0xe6, 0x8f, 0x90])],
    ['utf-16le', Buffer.from('a提🎬é\n', 'utf16le')],
    ['utf-16be', utf16be('a提🎬é\n')],
    ['utf-16le', Buffer.from('a\uD83Db提', 'utf16le')],
    ['gb18030', gb18030('a提示, 词\n')],
  );
  await fc.assert(
    fc.asyncProperty(
      samples,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 2 }),
      async ([label, bytes], size, skipUnits) => {
        const skip = label.startsWith('utf-16') ? skipUnits * 2 : Math.min(1, skipUnits);
        const decode = async (chunkSize: number): Promise<unknown> => {
          const chunks = Array.from({ length: Math.ceil(bytes.length / chunkSize) }, (_, n) =>
            bytes.subarray(n * chunkSize, (n + 1) * chunkSize),
          );
          const decoded = await collect(decodeText(Readable.from(chunks), label, skip));
          return {
            text: decoded.map(({ text }) => text).join(''),
            bad: decoded.flatMap(({ bad }) => (bad === undefined ? [] : [bad.offset])),
          };
        };
        assert.deepEqual(await decode(size), await decode(bytes.length));
      },
    ),
  );
});
