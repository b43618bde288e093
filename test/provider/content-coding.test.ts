import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { decodeBody } from '../../src/provider/content-coding.ts';
import { judge } from './answers.ts';
import { redactor } from '../../src/provider/api-key.ts';
import { API_KEY, create, setUp } from './fixture.ts';
import { ACCEPTANCE, http } from './server.ts';

const LIMIT = 1_048_576;
const TEXT = '{"task_id":"task_1","prompt":"长镜头"}';
const plain = Buffer.from(TEXT);
const read = (bytes: Buffer, encoding?: string | string[]) => decodeBody(bytes, encoding, LIMIT);

describe('a compressed answer', () => {
  const codings: [encoding: string | string[] | undefined, bytes: Buffer][] = [
    [undefined, plain],
    ['identity', plain],
    ['gzip', gzipSync(plain)],
    ['X-GZIP', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['deflate', deflateRawSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['zstd', zstdCompressSync(plain)],
    ['gzip, br', brotliCompressSync(gzipSync(plain))],
    [['deflate', 'gzip'], gzipSync(deflateSync(plain))],
    ['gzip', Buffer.concat([gzipSync(plain.subarray(0, 9)), gzipSync(plain.subarray(9))])],
    // What the header says is not so, and what it is, is certain.
    ['gzip', plain],
    ['br', plain],
    ['utf-8', plain],
    ['br', gzipSync(plain)],
    [undefined, gzipSync(plain)],
    [undefined, zstdCompressSync(plain)],
    ['gzip', gzipSync(gzipSync(plain))],
  ];
  for (const [encoding, bytes] of codings) {
    it(`is read: ${String(encoding)}, beginning with ${bytes.subarray(0, 4).toString('hex')}`, () => {
      assert.deepEqual(read(bytes, encoding), { text: TEXT });
    });
  }

  it('without a body is empty', () => assert.deepEqual(read(Buffer.alloc(0), 'gzip'), { text: '' }));

  for (const [name, bytes] of [
    ['gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['zstd', zstdCompressSync(Buffer.from(TEXT.repeat(50_000)))],
  ] as const) {
    it(`that ends too early is read as far as it came: ${name}`, () => {
      const { text, problem } = read(bytes.subarray(0, -4), name);
      const whole = name === 'zstd' ? TEXT.repeat(50_000) : TEXT;
      assert.ok(whole.startsWith(text) || problem !== undefined, text);
      assert.equal(problem?.code, 'CONTENT_CODING');
    });
  }

  const broken = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
  for (const [encoding, bytes] of [
    ['gzip', broken],
    ['compress', Buffer.from([0x1f, 0x9d, 0x90, 1, 2])],
    ['br', Buffer.from([0xff, 0xff, 0, 1])],
    ['gzip, gzip, gzip, gzip, gzip', gzipSync(plain)],
  ] as const) {
    it(`that cannot be decoded keeps its bytes: ${encoding}`, () => {
      const { text, problem, raw } = read(bytes, encoding);
      assert.equal(text, '');
      assert.equal(problem?.code, 'CONTENT_CODING');
      assert.deepEqual(raw, bytes);
    });
  }

  it('that grows beyond the limit is not inflated to its end', () => {
    const bomb = Buffer.alloc(64 * LIMIT);
    const bombs = [
      gzipSync(bomb),
      brotliCompressSync(bomb),
      zstdCompressSync(bomb),
      gzipSync(gzipSync(bomb)),
    ];
    for (const [n, encoding] of ['gzip', 'br', 'zstd', 'gzip, gzip'].entries()) {
      const bytes = bombs[n] ?? plain;
      const { problem, raw } = read(bytes, encoding);
      assert.match(problem?.message ?? '', /larger than 1048576 bytes/);
      assert.equal(raw, bytes);
    }
  });

  it('never throws for any bytes', () => {
    const encodings = fc.constantFrom('gzip', 'deflate', 'br', 'zstd', 'x', 'gzip, br', '__proto__', '');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), encodings, (bytes, encoding) => {
        const { text, raw, problem } = read(Buffer.from(bytes), encoding);
        // Nothing is lost: the text holds all of it, or the bytes are there, or it is said that something is missing.
        assert.ok(raw !== undefined || problem !== undefined || text.isWellFormed());
      }),
    );
  });
});

describe('bytes that are no UTF-8', () => {
  it('are kept, beside what can be read of them', () => {
    const bytes = Buffer.from('{"task_id":"task_1","message":"\xb0\xcd"}', 'latin1');
    const { text, raw } = read(bytes);
    assert.match(text, /"task_id":"task_1"/);
    assert.deepEqual(raw, bytes);
  });

  it('are not blamed on a character that was cut in two', () => {
    assert.equal(read(Buffer.from('长').subarray(0, 2)).raw, undefined);
  });
});

describe('the outcome of an answer whose bytes cannot be read', () => {
  const redact = redactor(API_KEY);
  const bytes = Buffer.concat([Buffer.from([0x1f, 0x9d]), Buffer.from(`\0Bearer ${API_KEY}\0`)]);
  const { text: body, raw = bytes, problem: cutOff } = read(bytes, 'compress');
  for (const status of [200, 400, 401, 422, 429, 503]) {
    it(`is uncertain with HTTP ${status}, with the bytes in the evidence, without the key`, () => {
      const answer = { status, headers: {}, body, raw, ...(cutOff === undefined ? {} : { cutOff }) };
      const { kind, evidence } = judge(answer, { now: 0, redact });
      assert.equal(kind, 'uncertain');
      assert.match(evidence.body ?? '', /^base64:/);
      const kept = Buffer.from((evidence.body ?? '').slice('base64:'.length), 'base64').toString('latin1');
      assert.equal(kept, `\x1f\x9d\0Bearer [API key]\0`);
    });
  }

  it('keeps at most 64 KiB, in whole groups', () => {
    const many = Buffer.alloc(100_000, 0xff);
    const { evidence } = judge({ status: 500, headers: {}, body: '', raw: many }, { now: 0 });
    assert.ok(Buffer.byteLength(evidence.body ?? '') <= 65_536);
    assert.match(evidence.body ?? '', /^base64:[/]+$/);
  });
});

describe('over the wire', () => {
  const wire = (body: Buffer, encoding: string): Buffer =>
    Buffer.concat([
      Buffer.from(http(200, '', { 'content-length': String(body.length), 'content-encoding': encoding })),
      body,
    ]);

  it('the task id of a compressed answer is read, and no compression was asked for', async (t) => {
    const answers = [wire(gzipSync(ACCEPTANCE), 'gzip'), wire(brotliCompressSync(ACCEPTANCE), 'br')];
    const [made, server] = await setUp(t, ({ socket }) => socket.write(answers.shift() ?? ''));
    for (const _ of ['gzip', 'br']) {
      const outcome = await create(made);
      assert.equal(outcome.kind === 'accepted' && outcome.taskId, 'task_1');
      assert.equal(outcome.evidence.body, ACCEPTANCE);
    }
    assert.deepEqual(
      server.requests.map(({ headers }) => headers['accept-encoding']),
      ['identity', 'identity'],
    );
  });

  it('a compressed answer about a task is read', async (t) => {
    const task = '{"id":"task_1","status":"completed","video_url":"https://cdn.example/v.mp4"}';
    const [made] = await setUp(t, ({ socket }) => socket.write(wire(zstdCompressSync(task), 'zstd')));
    const report = await made.query('task_1');
    assert.equal(report.kind === 'task' && report.resultUrl, 'https://cdn.example/v.mp4');
  });

  it('one that breaks off is uncertain, and sent once', async (t) => {
    const [made, server] = await setUp(t, ({ socket }) => {
      socket.end(wire(gzipSync(ACCEPTANCE), 'gzip').subarray(0, -30));
    });
    assert.equal((await create(made)).kind, 'uncertain');
    assert.equal(server.posts(), 1);
  });
});
