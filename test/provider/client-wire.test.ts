import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { TEST_CERTIFICATE, TEST_KEY } from './certificate.ts';
import { BODY, create, freePort, provider, setUp } from './fixture.ts';
import { ACCEPTANCE, closed, http, listen, type WireRequest } from './server.ts';

describe('a create that provably did not begin is not sent', () => {
  it('and says that proxies are not used, where one is set', async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { evidence } = await create(provider(t, url, { proxies: ['HTTPS_PROXY'] }));
    assert.match(
      evidence.message ?? '',
      /refuses connections; vidbatch uses no proxy, although HTTPS_PROXY is set$/,
    );
  });

  it('when nothing listens', async (t) => {
    const port = await freePort();
    const outcome = await create(provider(t, `http://127.0.0.1:${port}`));
    assert.deepEqual(outcome, {
      kind: 'not-sent',
      retry: {},
      evidence: {
        code: 'ECONNREFUSED',
        message: `127.0.0.1:${port} refuses connections`,
        phase: 'connecting',
      },
    });
  });

  it('when the host has no address', async (t) => {
    const outcome = await create(provider(t, 'http://nowhere.invalid'));
    assert.equal(outcome.kind, 'not-sent');
    assert.match(outcome.evidence.code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/);
    assert.match(outcome.evidence.message ?? '', /^the host name of nowhere\.invalid cannot be resolved/);
  });

  it('when TLS meets a plain server', async (t) => {
    const server = createServer((socket) =>
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n').on('error', () => {}),
    );
    const port = await listen(server);
    t.after(() => closed(server));
    const outcome = await create(provider(t, `https://127.0.0.1:${port}`));
    assert.equal(outcome.kind, 'not-sent');
    assert.equal(outcome.evidence.phase, 'connecting');
  });

  it('when the connection is closed during the TLS handshake', async (t) => {
    const server = createServer((socket) => socket.destroy());
    const port = await listen(server);
    t.after(() => closed(server));
    const outcome = await create(provider(t, `https://127.0.0.1:${port}`));
    assert.equal(outcome.kind, 'not-sent');
  });

  it('when the certificate is not trusted', async (t) => {
    const server = createTlsServer({ key: TEST_KEY, cert: TEST_CERTIFICATE });
    const port = await listen(server);
    t.after(() => closed(server));
    const outcome = await create(provider(t, `https://127.0.0.1:${port}`));
    assert.equal(outcome.kind, 'not-sent');
    assert.equal(outcome.evidence.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
  });

  it('when its time runs out in the TLS handshake', async (t) => {
    const server = createServer((socket) => socket.on('error', () => {}));
    const port = await listen(server);
    t.after(() => closed(server));
    const outcome = await create(provider(t, `https://127.0.0.1:${port}`, { timeoutMs: 20 }));
    assert.equal(outcome.kind, 'not-sent');
    assert.equal(outcome.evidence.code, 'TIMEOUT');
  });

  it('when the client is closed', async (t) => {
    const [made, server] = await setUp(t, ({ socket }) => socket.write(http(200, ACCEPTANCE)));
    await made.close();
    const outcome = await create(made);
    assert.equal(outcome.kind, 'not-sent');
    assert.equal(outcome.evidence.code, 'UND_ERR_CLOSED');
    assert.equal(server.requests.length, 0);
  });

  it('when its idempotency key cannot travel in a header, and the next one is sent', async (t) => {
    const [made, server] = await setUp(t, ({ socket }) => socket.write(http(200, ACCEPTANCE)), {
      connections: 1,
    });
    const outcome = await made.create(BODY, { idempotencyKey: 'a\nb' });
    assert.equal(outcome.kind, 'not-sent');
    assert.equal((await create(made)).kind, 'accepted');
    assert.equal(server.posts(), 1);
  });
});

describe('a create that began and got no answer is uncertain, after one POST', () => {
  const breaks: [string, (request: WireRequest) => void][] = [
    ['the body was read and the connection reset', ({ socket }) => socket.resetAndDestroy()],
    ['the body was read and the connection closed', ({ socket }) => socket.destroy()],
    ['the body was read and the other half closed', ({ socket }) => socket.end()],
    ['the headers stop', ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncont')],
    ['the answer stops', ({ socket }) => socket.end(http(200, ACCEPTANCE).slice(0, -9))],
    ['the JSON stops', ({ socket }) => socket.end(http(200, ACCEPTANCE.slice(0, -9)))],
    ['the answer is a page', ({ socket }) => socket.end(http(200, '<!doctype html><title>Console</title>'))],
  ];
  for (const [name, answer] of breaks) {
    it(`when ${name}`, async (t) => {
      const [made, server] = await setUp(t, answer);
      const outcome = await create(made);
      assert.equal(outcome.kind, 'uncertain');
      assert.notEqual(outcome.evidence.phase, 'connecting');
      assert.equal(server.posts(), 1);
    });
  }

  it('when the server resets before it reads', async (t) => {
    let connections = 0;
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      connections++;
      socket.once('readable', () => socket.resetAndDestroy()).on('error', () => {});
      socket.read(0);
    });
    const port = await listen(server);
    t.after(() => closed(server));
    const outcome = await create(provider(t, `http://127.0.0.1:${port}`));
    assert.equal(outcome.kind, 'uncertain');
    assert.equal(outcome.evidence.phase, 'sent');
    assert.equal(connections, 1);
  });

  const slow: [string, string][] = [
    ['headers', ''],
    ['body', http(200, ACCEPTANCE).slice(0, -9)],
  ];
  for (const [name, wire] of slow) {
    it(`when the ${name} do not come in time`, async (t) => {
      const [made, server] = await setUp(t, ({ socket }) => socket.write(wire), { timeoutMs: 500 });
      const outcome = await create(made);
      assert.equal(outcome.kind, 'uncertain');
      assert.match(outcome.evidence.message ?? '', /no complete answer within 0\.5 s/);
      assert.equal(server.posts(), 1);
    });
  }

  it('when a kept connection is closed as the next request arrives', async (t) => {
    const [made, server] = await setUp(
      t,
      ({ socket, nth }) => (nth === 1 ? socket.write(http(200, ACCEPTANCE)) : socket.destroy()),
      { connections: 1 },
    );
    assert.equal((await create(made)).kind, 'accepted');
    assert.equal((await create(made)).kind, 'uncertain');
    assert.equal(server.posts(), 2);
    assert.equal(server.requests[1]?.nth, 2);
  });

  it('when the answer is larger than anything this endpoint says', async (t) => {
    const [made] = await setUp(t, ({ socket }) =>
      socket.write(http(200, `{"id":"task_1","x":"${'x'.repeat(2_000_000)}"}`)),
    );
    const outcome = await create(made);
    assert.equal(outcome.kind, 'uncertain');
    assert.equal(Buffer.byteLength(outcome.evidence.body ?? ''), 65_536);
  });
});

describe('a connection', () => {
  it('is kept for the next request', async (t) => {
    const answer = ({ socket }: WireRequest): boolean => socket.write(http(200, ACCEPTANCE));
    const [made, server] = await setUp(t, answer, { connections: 1 });
    await create(made);
    await create(made);
    assert.deepEqual(
      server.requests.map(({ nth }) => nth),
      [1, 2],
    );
  });

  it('is not kept idle for as long as the server offers', { timeout: 20_000 }, async (t) => {
    const [made, server] = await setUp(t, ({ socket }) =>
      socket.write(http(200, ACCEPTANCE, { 'keep-alive': 'timeout=100' })),
    );
    await create(made);
    const socket = server.requests[0]?.socket;
    assert.ok(socket !== undefined && !socket.destroyed);
    await once(socket, 'close');
  });

  it('is not used again when the server offers less time than is safe', async (t) => {
    const answer = ({ socket }: WireRequest): boolean =>
      socket.write(http(200, ACCEPTANCE, { 'keep-alive': 'timeout=1' }));
    const [made, server] = await setUp(t, answer, { connections: 1 });
    await create(made);
    await create(made);
    assert.deepEqual(
      server.requests.map(({ nth }) => nth),
      [1, 1],
    );
  });

  it('is one for each of many calls at once, without waiting', async (t) => {
    const waiting: Socket[] = [];
    const [made, server] = await setUp(t, ({ socket }) => {
      waiting.push(socket);
      // Nobody is answered before everybody has asked.
      if (waiting.length === 20) for (const each of waiting) each.write(http(200, ACCEPTANCE));
    });
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => create(made)));
    assert.ok(outcomes.every(({ kind }) => kind === 'accepted'));
    assert.equal(server.posts(), 20);
  });

  it('speaks HTTP/1.1 to a server that offers h2, and trusts a given certificate', async (t) => {
    const versions: string[] = [];
    const server = createSecureServer(
      { key: TEST_KEY, cert: TEST_CERTIFICATE, allowHTTP1: true },
      (request, response) => {
        versions.push(request.httpVersion);
        response.setHeader('content-type', 'application/json');
        response.end(ACCEPTANCE);
      },
    );
    const port = await listen(server);
    t.after(() => closed(server));
    const made = provider(t, `https://localhost:${port}`, { ca: TEST_CERTIFICATE });
    assert.equal((await create(made)).kind, 'accepted');
    assert.deepEqual(versions, ['1.1']);
  });
});
