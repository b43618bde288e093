import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { openManifest } from '../../src/manifest/manifest.ts';
import { collect, makeFolder, read, rules } from './fixture.ts';

test('what is no readable file is a usage error', async () => {
  await using folder = await makeFolder();
  const file = await folder.write('a.csv', 'a\n1\n');
  await mkdir(folder.path('jobs'));
  await assert.rejects(openManifest(folder.path('none.csv')), { code: 'manifest-not-found', exitCode: 2 });
  await assert.rejects(openManifest(`${file}/b.csv`), { code: 'manifest-not-found', exitCode: 2 });
  await assert.rejects(openManifest(folder.path('jobs')), { code: 'manifest-is-folder', exitCode: 2 });
  await assert.rejects(openManifest(folder.path(`${'x'.repeat(300)}.csv`)), {
    code: 'manifest-unreadable',
    exitCode: 2,
  });
});

test('a file without permission is a usage error', async () => {
  await using folder = await makeFolder();
  const file = await folder.write('a.csv', 'a\n1\n');
  await chmod(file, 0o000);
  const isRoot = process.geteuid?.() === 0;
  try {
    // Root may read everything, so it steps down for the moment.
    if (isRoot) process.seteuid?.(65_534);
    await assert.rejects(openManifest(file), { code: 'manifest-unreadable', exitCode: 2 });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test('a format that nothing tells is a usage error that names the allowed ones', async () => {
  const unknown = {
    code: 'format-unknown',
    exitCode: 2,
    hint: 'Say what it is: --format csv|json|jsonl|xlsx.',
  };
  await assert.rejects(read('a.txt', 'a\n1\n'), unknown);
  await assert.rejects(openManifest('-', { stdin: Readable.from([]) }), unknown);
  await assert.rejects(read('a.csv', 'a\n', { format: 'xml' }), { code: 'format-unknown', exitCode: 2 });
  assert.equal((await read('a.txt', 'a\n1\n', { format: 'csv' })).entries.length, 1);
  assert.equal((await read('A.CSV', 'a\n1\n')).manifest.format, 'csv');
});

test('an empty file is refused', async () => {
  for (const name of ['a.csv', 'a.json', 'a.jsonl']) {
    for (const content of ['', '\uFEFF', ' \r\n\n']) {
      await assert.rejects(read(name, content), { code: 'manifest-empty', exitCode: 3 }, name);
    }
  }
  await assert.rejects(openManifest('-', { format: 'csv', stdin: Readable.from([]) }), {
    code: 'manifest-empty',
  });
});

test('a binary file is refused, with a hint for what it looks like', async () => {
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452000004000000030008060000', 'hex');
  const binary = { code: 'manifest-binary', exitCode: 3 };
  await assert.rejects(read('a.csv', png), binary);
  await assert.rejects(read('a.json', Buffer.from('a\0\0b\0\0\0c')), binary);
  await assert.rejects(
    read('a.csv', Buffer.from('\uFEFFa\0b\0', 'utf16le').subarray(2).fill(0, 0, 3)),
    binary,
  );
  await assert.rejects(read('a.csv', Buffer.from('PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0', 'latin1')), {
    ...binary,
    message: /Excel/,
  });
  await assert.rejects(read('a.csv', Buffer.from('1f8b0800000000000003', 'hex')), {
    ...binary,
    message: /gzip/,
  });
});

test('a file that is not a manifest is named for what it is, with any extension and any --format', async () => {
  const html = '<!DOCTYPE html><html><body>log in</body></html>';
  const workbook = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), Buffer.alloc(64)]);
  const files: [name: string, content: string | Buffer, says: RegExp][] = [
    ['a.xlsx', workbook, /Excel workbook/],
    ['a.csv', workbook, /zip archive, or an Excel workbook/],
    ['a.zip', workbook, /zip archive/],
    ['a.xls', Buffer.from('d0cf11e0a1b11ae1', 'hex'), /Excel workbook/],
    ['a.xls', html, /web page \(HTML\)/],
    ['a.csv', `\uFEFF\r\n${html.toLowerCase()}`, /web page \(HTML\)/],
    ['a.csv', Buffer.from(`\uFEFF${html}`, 'utf16le'), /web page \(HTML\)/],
    ['a.xml', '<?xml version="1.0"?><Workbook/>', /XML/],
    ['a.csv.gz', gzipSync('id,model,prompt\n'), /compressed with gzip/],
    ['a.csv.br', brotliCompressSync('id,model,prompt\n'), /compressed with brotli/],
    ['a.csv', '%PDF-1.7\n', /PDF/],
  ];
  for (const [name, content, message] of files) {
    await assert.rejects(read(name, content), { exitCode: 3, message }, name);
    await assert.rejects(read(name, content, { format: 'csv' }), { exitCode: 3, message }, name);
  }
});

test('entries can be iterated once', async () => {
  const { manifest } = await read('a.csv', 'a\n1\n');
  assert.throws(() => manifest.entries[Symbol.asyncIterator](), { code: 'manifest-iterated' });
});

test('no file stays open: before iteration, after it, or when it stops early', async () => {
  await using folder = await makeFolder();
  const row = '{"id": 1, "prompt": "a"}';
  const files = [
    await folder.write('a.csv', `id,prompt\n${'1,a\n'.repeat(50_000)}`),
    await folder.write('a.jsonl', `${row}\n`.repeat(20_000)),
    await folder.write('a.json', `[${`${row},\n`.repeat(20_000)}${row}]`),
    await folder.write('b.json', `{"rows": [${`${row},\n`.repeat(20_000)}${row}], "defaults": {}}`),
  ];
  const openFiles = async (): Promise<number> => (await readdir('/dev/fd')).length;
  // The first reading may open what the process then keeps.
  for (const file of files) await collect((await openManifest(file)).entries);
  const before = await openFiles();
  for (const file of files) {
    const manifest = await openManifest(file);
    assert.equal(await openFiles(), before, file);
    for await (const { raw } of manifest.entries) {
      assert.equal(Number(raw['id']), 1);
      assert.equal(await openFiles(), before + 1, file);
      break;
    }
    assert.equal(await openFiles(), before, file);
  }
});

test('stopping early ends standard input', async () => {
  async function* endless(): AsyncGenerator<Buffer> {
    yield Buffer.from('id,prompt\n');
    for (;;) yield Buffer.from('1,a\n'.repeat(10_000));
  }
  const stdin = Readable.from(endless());
  const manifest = await openManifest('-', { format: 'csv', stdin });
  assert.equal(manifest.name, '-');
  for await (const { line } of manifest.entries) if (line === 30_000) break;
  assert.ok(stdin.destroyed);
});

test('standard input is read in every format, in any chunks', async () => {
  const contents = {
    csv: 'id\n"1\n"\n2\n',
    json: '[\n{"id": 1},\n\n{"id": 2}]',
    jsonl: '\n{"id": 1}\n\n{"id": 2}',
  };
  for (const [format, content] of Object.entries(contents)) {
    const stdin = Readable.from(Array.from(content, (character) => Buffer.from(character)));
    const { entries } = await openManifest('-', { format, stdin });
    assert.deepEqual(
      (await collect(entries)).map(({ line }) => line),
      [2, 4],
      format,
    );
  }
});

test('on standard input defaults may follow only as many rows as fit in memory', async () => {
  const small = await openManifest('-', {
    format: 'json',
    stdin: Readable.from(['{"rows": [{}], "defaults": {"a": 1}}']),
  });
  assert.deepEqual((await collect(small.entries))[0]?.raw, { a: 1 });
  const large = `{"rows": [${'{"id": 1},\n'.repeat(10_000)}{}], "defaults": {"a": 1}}`;
  const chunks = [large.slice(0, 80_000), large.slice(80_000)];
  const { entries } = await openManifest('-', { format: 'json', stdin: Readable.from(chunks) });
  const read = await collect(entries);
  assert.deepEqual(rules(read), ['1 json-order']);
  assert.match(read[0]?.faults[0]?.message ?? '', /"defaults" must come before "rows"/);
});

test('a failing standard input is an operational error', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    for (let chunk = 0; chunk < 9; chunk += 1) yield Buffer.from(`id\n${'1\n'.repeat(10_000)}`);
    throw new Error('the pipe broke');
  }
  const { entries } = await openManifest('-', { format: 'csv', stdin: Readable.from(failing()) });
  await assert.rejects(collect(entries), {
    code: 'manifest-read',
    exitCode: 1,
    message: '- could not be read: the pipe broke',
  });
});

test('a file that changes between opening and reading is refused', async () => {
  await using folder = await makeFolder();
  const file = await folder.write('a.csv', 'a,b\n1,2\n');
  const manifest = await openManifest(file);
  await writeFile(file, 'b,a,c\n1,2,3\n');
  await assert.rejects(collect(manifest.entries), { code: 'manifest-changed', exitCode: 3 });
  const gone = await openManifest(file);
  await rm(file);
  await assert.rejects(collect(gone.entries), { code: 'manifest-not-found' });
});
