import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { OutcomeKind } from '../../src/core/outcome.ts';
import { create, setUp } from './fixture.ts';
import { ACCEPTANCE, http, type WireRequest } from './server.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const LENGTH = `content-length: ${ACCEPTANCE.length}\r\n`;
const CHUNKED = 'transfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const OTHER = ACCEPTANCE.replaceAll('task_1', 'task_2');
const many = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('');

/** What stands on the wire after one POST, and what may be believed of it. */
const ANSWERS: [string, string, OutcomeKind][] = [
  [
    'a flood of early hints before it',
    many(5000, (n) => `HTTP/1.1 103 Hint\r\nlink: </${n}>\r\n\r\n`) + http(200, ACCEPTANCE),
    'accepted',
  ],
  ['a 102 before it', `HTTP/1.1 102 Processing\r\n\r\n${http(200, ACCEPTANCE)}`, 'accepted'],
  ['early hints and nothing more', 'HTTP/1.1 103 Hint\r\n\r\n', 'uncertain'],
  [
    'garbage after its last chunk',
    `${OK}${CHUNKED}${chunk(ACCEPTANCE)}0\r\n\r\nNOISE NOISE\r\n\r\n`,
    'accepted',
  ],
  ['a wrong chunk size', `${OK}${CHUNKED}5\r\n${ACCEPTANCE}\r\n0\r\n\r\n`, 'uncertain'],
  ['a chunk size that is no number', `${OK}${CHUNKED}zz\r\n${ACCEPTANCE}\r\n0\r\n\r\n`, 'uncertain'],
  ['bytes beyond its length', `${OK}${LENGTH}\r\n${ACCEPTANCE}and more`, 'accepted'],
  [
    'fewer bytes than its length, but a whole task',
    `${OK}content-length: 999\r\n\r\n${ACCEPTANCE}`,
    'accepted',
  ],
  ['two lengths that differ', `${OK}${LENGTH}content-length: 3\r\n\r\n${ACCEPTANCE}`, 'uncertain'],
  ['a length and chunks', `${OK}${LENGTH}${CHUNKED}${chunk(ACCEPTANCE)}0\r\n\r\n`, 'uncertain'],
  ['a length that is no number', `${OK}content-length: -1\r\n\r\n${ACCEPTANCE}`, 'uncertain'],
  ['a header split by a bare line feed', `${OK}x-a: 1\nx-b: 2\r\n${LENGTH}\r\n${ACCEPTANCE}`, 'uncertain'],
  ['a header without a colon', `${OK}nonsense\r\n${LENGTH}\r\n${ACCEPTANCE}`, 'uncertain'],
  ['a NUL in a header', `${OK}x-a: \0\r\n${LENGTH}\r\n${ACCEPTANCE}`, 'uncertain'],
  [
    '200 KB of cookies',
    `${OK}${many(200, (n) => `set-cookie: c${n}=${'x'.repeat(1000)}\r\n`)}${LENGTH}\r\n${ACCEPTANCE}`,
    'accepted',
  ],
  ['headers without end', `${OK}${many(3000, (n) => `x-${n}: ${'x'.repeat(1000)}\r\n`)}`, 'uncertain'],
  ['201', http(201, ACCEPTANCE), 'accepted'],
  ['202', http(202, ACCEPTANCE), 'accepted'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 'uncertain'],
  ['204 and a task all the same', `HTTP/1.1 204 No Content\r\n${LENGTH}\r\n${ACCEPTANCE}`, 'uncertain'],
  ['205', http(205, ''), 'uncertain'],
  [
    '206 and part of it',
    http(206, ACCEPTANCE.slice(0, 20), { 'content-range': 'bytes 0-19/99' }),
    'uncertain',
  ],
  ['206 and a task', http(206, ACCEPTANCE), 'accepted'],
  [
    'an unexpectedly compressed task',
    http(200, '\x1f\x8b\x08\0\0\0', { 'content-encoding': 'gzip' }),
    'uncertain',
  ],
  ['HTTP/2.0 in its first line', http(200, ACCEPTANCE).replace('HTTP/1.1', 'HTTP/2.0'), 'accepted'],
  ['HTTP/0.9, a body alone', ACCEPTANCE, 'uncertain'],
  ['status 999', http(999, ACCEPTANCE), 'uncertain'],
  ['status 099', http(200, ACCEPTANCE).replace('200', '099'), 'uncertain'],
];

describe('an answer to one POST', () => {
  for (const [name, wire, kind] of ANSWERS) {
    it(`with ${name} is ${kind}`, async (t) => {
      const [made, server] = await setUp(t, ({ socket }) => socket.end(wire, 'latin1'), {
        timeoutMs: 20_000,
      });
      const outcome = await create(made);
      assert.equal(outcome.kind, kind, JSON.stringify(outcome));
      if (outcome.kind === 'accepted') assert.equal(outcome.taskId, 'task_1');
      assert.equal(server.posts(), 1);
    });
  }

  it('that hints for ever is uncertain when its time is over', async (t) => {
    const hint = (socket: WireRequest['socket']): void => {
      if (!socket.destroyed) socket.write('HTTP/1.1 103 Hint\r\n\r\n', () => hint(socket));
    };
    const [made, server] = await setUp(t, ({ socket }) => hint(socket), { timeoutMs: 200 });
    const outcome = await create(made);
    assert.equal(outcome.kind, 'uncertain');
    assert.equal(outcome.evidence.code, 'TIMEOUT');
    assert.equal(server.posts(), 1);
  });

  it('that comes after its time is over is not heard, nor taken for the next one', async (t) => {
    const [made, server] = await setUp(
      t,
      ({ socket }) => {
        if (server.posts() > 1) socket.write(http(200, OTHER));
        else socket.once('end', () => socket.write(http(200, ACCEPTANCE)));
      },
      { timeoutMs: 200, connections: 1 },
    );
    assert.equal((await create(made)).kind, 'uncertain');
    const second = await create(made);
    assert.ok(second.kind === 'accepted' && second.taskId === 'task_2');
    assert.equal(server.posts(), 2);
  });
});

describe('an unexpected second answer', () => {
  for (const [name, stray] of [
    ['the same one', http(200, ACCEPTANCE)],
    ['another task', http(200, ACCEPTANCE.replaceAll('task_1', 'task_9'))],
    ['a 408 of a proxy that is tired of waiting', http(408, '')],
    ['an answer that is cut off', http(200, ACCEPTANCE).slice(0, 30)],
  ] as const) {
    it(`with the first one is not taken for the next: ${name}`, async (t) => {
      const [made, server] = await setUp(
        t,
        ({ socket }) => socket.write(server.posts() === 1 ? http(200, ACCEPTANCE) + stray : http(200, OTHER)),
        { connections: 1 },
      );
      const [one, two] = await Promise.all([create(made), create(made)]);
      assert.ok(one.kind === 'accepted' && one.taskId === 'task_1');
      assert.ok(two.kind === 'accepted' && two.taskId === 'task_2');
      assert.deepEqual(
        server.requests.map(({ nth }) => nth),
        [1, 1],
      );
    });

    it(`between two calls is not taken for the next: ${name}`, async (t) => {
      const [made, server] = await setUp(
        t,
        ({ socket }) => socket.write(server.posts() === 1 ? http(200, ACCEPTANCE) : http(200, OTHER)),
        { connections: 1 },
      );
      const one = await create(made);
      assert.ok(one.kind === 'accepted' && one.taskId === 'task_1');
      // In the kernel before the next call, and not read yet.
      server.requests[0]?.socket.write(stray);
      const two = await create(made);
      assert.ok(two.kind === 'accepted' && two.taskId === 'task_2', JSON.stringify(two));
      assert.deepEqual(
        server.requests.map(({ nth }) => nth),
        [1, 1],
      );
    });
  }
});

describe('a hint of how long a connection is kept', { concurrency: true }, () => {
  for (const hint of [
    'timeout=0',
    'timeout=1',
    'timeout=99999999999999999999',
    'timeout=-5',
    'timeout=x',
    'max=1',
    '',
  ]) {
    it(`changes nothing about the next call: ${JSON.stringify(hint)}`, async (t) => {
      const [made, server] = await setUp(
        t,
        ({ socket }) => socket.write(http(200, ACCEPTANCE, { 'keep-alive': hint })),
        { connections: 1 },
      );
      assert.equal((await create(made)).kind, 'accepted');
      assert.equal((await create(made)).kind, 'accepted');
      assert.equal(server.posts(), 2);
      const last = server.requests.at(-1)?.socket;
      assert.ok(last !== undefined);
      if (!last.destroyed) await once(last, 'close');
    });
  }
});
