import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { Pool } from 'undici';
import type { ProviderOptions } from '../../src/provider/client.ts';
import { exchange, type Exchange } from '../../src/provider/exchange.ts';
import { EXPIRED_CERTIFICATE, OTHER_CERTIFICATE, TEST_CERTIFICATE, TEST_KEY } from './certificate.ts';
import { BODY, create, provider } from './fixture.ts';
import { ACCEPTANCE, closed, http, listen, wireServer } from './server.ts';

describe('a TLS server that is not trusted gets nothing', () => {
  const servers: [string, TlsOptions, Partial<ProviderOptions>, RegExp][] = [
    ['is past its time', { cert: EXPIRED_CERTIFICATE }, { ca: EXPIRED_CERTIFICATE }, /^CERT_HAS_EXPIRED$/],
    [
      'is for another host',
      { cert: OTHER_CERTIFICATE },
      { ca: OTHER_CERTIFICATE },
      /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    ],
    ['has an unknown certificate', { cert: TEST_CERTIFICATE }, {}, /SELF_SIGNED/],
    [
      'is too old',
      { cert: TEST_CERTIFICATE, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' },
      { ca: TEST_CERTIFICATE },
      /./,
    ],
    [
      'speaks another protocol',
      { cert: TEST_CERTIFICATE, ALPNProtocols: ['h2', 'spdy/3'] },
      { ca: TEST_CERTIFICATE },
      /./,
    ],
  ];
  for (const [name, tls, options, code] of servers) {
    it(`when it ${name}`, async (t) => {
      let read = 0;
      const server = createTlsServer({ key: TEST_KEY, ...tls }, (socket) => {
        socket.on('data', () => (read += 1)).on('error', () => {});
      });
      server.on('tlsClientError', () => {});
      const port = await listen(server);
      t.after(() => closed(server));
      const outcome = await create(provider(t, `https://localhost:${port}`, options));
      assert.equal(outcome.kind, 'not-sent');
      assert.match(outcome.evidence.code ?? '', code);
      assert.equal(outcome.evidence.phase, 'connecting');
      assert.equal(read, 0);
    });
  }

  it('but after the handshake the outcome is uncertain', async (t) => {
    // TLS 1.3: the client is done, and sends, before the server has looked at what it says of itself.
    const server = createTlsServer({
      key: TEST_KEY,
      cert: TEST_CERTIFICATE,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on('tlsClientError', () => {});
    const port = await listen(server);
    t.after(() => closed(server));
    const outcome = await create(provider(t, `https://localhost:${port}`, { ca: TEST_CERTIFICATE }));
    assert.equal(outcome.kind, 'uncertain');
  });
});

describe('a server that goes away in the middle of a run', () => {
  it('gets nothing while it does not listen, and is tried again when it is back', async (t) => {
    const server = await wireServer(({ socket }) => socket.write(http(200, ACCEPTANCE)));
    const made = provider(t, server.url, { connections: 1 });
    assert.equal((await create(made)).kind, 'accepted');
    const [first] = server.requests;
    await server.close();
    if (first !== undefined && !first.socket.destroyed) await once(first.socket, 'close');

    const away = await create(made);
    assert.equal(away.kind, 'not-sent', JSON.stringify(away));

    const { port } = new URL(server.url);
    const back = createServer((socket) => void socket.once('data', () => socket.end(http(200, ACCEPTANCE))));
    back.listen(Number(port), '127.0.0.1');
    await once(back, 'listening');
    t.after(() => closed(back));
    assert.equal((await create(made)).kind, 'accepted');
    assert.equal(server.posts(), 1);
  });
});

describe('a machine that answers to no connection', () => {
  it('has not been sent to when the time is over, and is not sent to later either', async (t) => {
    const server = fork(new URL('deaf-server.ts', import.meta.url), { stdio: 'inherit' });
    t.after(async () => {
      server.kill('SIGKILL');
      await once(server, 'exit');
    });
    const [{ port }] = (await once(server, 'message')) as [AddressInfo];
    server.kill('SIGSTOP');
    const crowd = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    t.after(() => crowd.forEach((socket) => socket.destroy()));
    await Promise.all(crowd.slice(0, 2).map((socket) => once(socket, 'connect')));

    // One connection for both: when it is up at last, the first request stands before the second.
    const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 1 });
    t.after(() => pool.destroy());
    const post = (key: string, timeoutMs: number): Promise<Exchange> =>
      exchange(
        pool,
        { method: 'POST', path: '/', headers: { 'idempotency-key': key }, body: BODY },
        timeoutMs,
      );
    const early = await post('early', 100);
    assert.ok(early.kind === 'failure');
    assert.deepEqual([early.phase, early.problem.code], ['connecting', 'TIMEOUT']);

    server.kill('SIGCONT');
    assert.equal((await post('late', 30_000)).kind, 'answer');
    server.send('posts');
    const [posts] = (await once(server, 'message')) as [string[]];
    assert.deepEqual(posts, ['late']);
  });
});
