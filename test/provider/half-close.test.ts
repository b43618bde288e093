import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Outcome, OutcomeKind } from '../../src/core/outcome.ts';
import { provider } from './fixture.ts';
import { ACCEPTANCE, closed, http, listen } from './server.ts';

/** More than the kernel's buffers of both sides together hold. */
const LARGE = JSON.stringify({ prompt: 'x'.repeat(24_000_000) });
const SMALL = '{"prompt":"a"}';

const TOO_LARGE = http(413, '{"code":"read_request_body_failed","message":"too large"}');

interface Reader {
  url: string;
  connections: () => number;
  /** Requests of which the head, and of which all was read. */
  heads: () => number;
  wholes: () => number;
  /** The socket of the first head. */
  head: Promise<Socket>;
}

/** A server that answers nothing by itself, and tells when it has read a head or all of a request. */
async function reader(
  t: TestContext,
  on: {
    head?: (socket: Socket) => void;
    whole?: (socket: Socket) => void;
    connection?: (socket: Socket) => void;
  },
): Promise<Reader> {
  const head = Promise.withResolvers<Socket>();
  let [connections, heads, wholes] = [0, 0, 0];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let start = Buffer.alloc(0);
    let left = Infinity;
    connections += 1;
    socket.on('error', () => {}).on('end', () => socket.end());
    on.connection?.(socket);
    socket.on('data', (chunk) => {
      if (left === Infinity) {
        start = Buffer.concat([start, chunk]);
        const end = start.indexOf('\r\n\r\n');
        if (end === -1) return;
        heads += 1;
        left =
          Number(/content-length: (\d+)/.exec(start.toString('latin1', 0, end))?.[1]) -
          (start.length - end - 4);
        head.resolve(socket);
        on.head?.(socket);
      } else {
        left -= chunk.length;
      }
      if (left !== 0) return;
      left = Infinity;
      start = Buffer.alloc(0);
      wholes += 1;
      on.whole?.(socket);
    });
  });
  const port = await listen(server);
  t.after(() => closed(server));
  return {
    url: `http://127.0.0.1:${port}`,
    connections: () => connections,
    heads: () => heads,
    wholes: () => wholes,
    head: head.promise,
  };
}

function send(t: TestContext, { url }: Reader, body: string, timeoutMs = 20_000): Promise<Outcome> {
  return provider(t, url, { timeoutMs }).create(body, { idempotencyKey: 'k' });
}

const READERS: [string, string, Parameters<typeof reader>[1], readonly OutcomeKind[]][] = [
  [
    'says that it is done as soon as it is connected',
    SMALL,
    { connection: (s) => s.end() },
    ['uncertain', 'not-sent'],
  ],
  ['says that it is done once it has the head', SMALL, { head: (s) => s.end() }, ['uncertain']],
  ['says that it is done once it has everything', SMALL, { whole: (s) => s.end() }, ['uncertain']],
  ['says that it is done while a large body is on its way', LARGE, { head: (s) => s.end() }, ['uncertain']],
  ['resets while a large body is on its way', LARGE, { head: (s) => s.resetAndDestroy() }, ['uncertain']],
  ['answers and says that it is done', SMALL, { whole: (s) => s.end(http(200, ACCEPTANCE)) }, ['accepted']],
  [
    'accepts before it has read a large body, and reads it',
    LARGE,
    { head: (s) => s.write(http(200, ACCEPTANCE)) },
    ['accepted'],
  ],
  [
    'refuses before it has read a large body, and reads it',
    LARGE,
    { head: (s) => s.write(TOO_LARGE) },
    ['rejected'],
  ],
  [
    'refuses a large body, and says that it is done',
    LARGE,
    { head: (s) => s.end(TOO_LARGE) },
    ['rejected', 'uncertain'],
  ],
  [
    // The reset may overtake the answer: then the outcome is uncertain.
    'refuses a large body, and resets',
    LARGE,
    { head: (s) => s.write(TOO_LARGE, () => s.resetAndDestroy()) },
    ['rejected', 'uncertain'],
  ],
];

describe('a server that', () => {
  for (const [name, body, on, kinds] of READERS) {
    it(`${name}: ${kinds.join(' or ')}, and it is asked once`, async (t) => {
      const server = await reader(t, on);
      const outcome = await send(t, server, body);
      assert.ok(kinds.includes(outcome.kind), JSON.stringify(outcome));
      if (outcome.kind === 'not-sent') assert.equal(server.heads(), 0);
      assert.equal(server.connections(), 1);
      assert.ok(server.heads() <= 1 && server.wholes() <= 1);
    });
  }

  it('does not read a large body in time: uncertain, and it never gets the rest', async (t) => {
    const server = await reader(t, { head: (socket) => socket.pause() });
    let timeoutMs = 300;
    let outcome = await send(t, server, LARGE, timeoutMs);
    // A busy machine needs longer to send the beginning.
    while (outcome.kind === 'not-sent' && server.heads() === 0)
      outcome = await send(t, server, LARGE, (timeoutMs *= 4));
    assert.equal(outcome.kind, 'uncertain');
    assert.equal(outcome.evidence.code, 'TIMEOUT');
    const socket = await server.head;
    const over = once(socket, 'close');
    socket.resume();
    await over;
    assert.deepEqual([server.heads(), server.wholes()], [1, 0]);
  });

  it('reads a large body a little at a time: accepted when it answers within the time', async (t) => {
    const server = await reader(t, {
      connection: (socket) =>
        socket.on('data', () => {
          socket.pause();
          setImmediate(() => socket.resume());
        }),
      whole: (socket) => socket.write(http(200, ACCEPTANCE)),
    });
    assert.equal((await send(t, server, LARGE)).kind, 'accepted');
    assert.deepEqual([server.heads(), server.wholes()], [1, 1]);
  });
});
