import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect,
  constants,
  createSecureServer,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { Pool } from 'undici';
import { exchange } from '../../src/provider/exchange.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './certificate.ts';
import { BODY, create, provider } from './fixture.ts';
import { ACCEPTANCE, closed, listen } from './server.ts';

const TLS = { key: TEST_KEY, cert: TEST_CERTIFICATE };
const PATH = '/v1/video/generations';

interface H2Server {
  url: string;
  /** The protocol of each POST whose body was read whole. */
  posts: string[];
}

/** Reads each POST whole; the first one over h2 is then refused as `refuse` does it, all others are accepted. */
async function h2Server(t: TestContext, refuse: Refusal, { allowHTTP1 = true } = {}): Promise<H2Server> {
  const posts: string[] = [];
  const server = createSecureServer({ ...TLS, allowHTTP1 });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume().once('end', () => {
      posts.push('h2');
      if (posts.length === 1 && stream.session !== undefined) refuse(stream, stream.session);
      else stream.end(ACCEPTANCE);
    });
  });
  server.on('request', (request, response) => {
    if (request.httpVersionMajor === 2) return;
    request.resume().once('end', () => {
      posts.push(request.httpVersion);
      response.end(ACCEPTANCE);
    });
  });
  server.on('sessionError', () => {});
  const port = await listen(server);
  t.after(() => closed(server));
  return { url: `https://localhost:${port}`, posts };
}

type Refusal = (stream: ServerHttp2Stream, session: Http2Session) => void;

/** After these, undici takes the stream for unprocessed, as RFC 9113 has it, and sends it again by itself. */
const replayed: [string, Refusal][] = [
  ['REFUSED_STREAM', (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM)],
  [
    'GOAWAY and REFUSED_STREAM',
    (stream, session) => {
      session.goaway(constants.NGHTTP2_NO_ERROR, stream.id ?? 0);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    },
  ],
];

const others: [string, Refusal][] = [
  ['GOAWAY below the stream', (_, session) => session.goaway(constants.NGHTTP2_NO_ERROR, 0)],
  ['GOAWAY with an error', (_, session) => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)],
];

describe('a server that reads a POST over h2 and then refuses it', () => {
  for (const [name, refuse] of [...replayed, ...others]) {
    it(`by ${name} is spoken to in HTTP/1.1, once`, async (t) => {
      const server = await h2Server(t, refuse);
      const made = provider(t, server.url, { ca: TEST_CERTIFICATE });
      assert.equal((await create(made)).kind, 'accepted');
      assert.equal((await create(made)).kind, 'accepted');
      assert.deepEqual(server.posts, ['1.1', '1.1']);
    });
  }

  for (const [name, refuse] of replayed) {
    // That this test can fail: what `allowH2: false` is there for.
    it(`by ${name} would get it a second time from undici alone`, async (t) => {
      const server = await h2Server(t, refuse);
      const pool = new Pool(server.url, { allowH2: true, connect: { ca: TEST_CERTIFICATE } });
      t.after(() => pool.destroy());
      const { body } = await pool.request({ method: 'POST', path: PATH, body: BODY });
      assert.equal(await body.text(), ACCEPTANCE);
      assert.deepEqual(server.posts, ['h2', 'h2']);
    });

    it(`by ${name} gets no second one even over h2: a call is begun at most once`, async (t) => {
      const server = await h2Server(t, refuse);
      const pool = new Pool(server.url, { allowH2: true, connect: { ca: TEST_CERTIFICATE } });
      t.after(() => pool.destroy());
      const result = await exchange(pool, { method: 'POST', path: PATH, headers: {}, body: BODY }, 30_000);
      assert.ok(result.kind === 'failure');
      assert.notEqual(result.phase, 'connecting');
      assert.deepEqual(server.posts, ['h2']);
    });
  }
});

describe('a server that speaks h2 only', () => {
  it('is not reached: the handshake fails, and nothing was sent', async (t) => {
    const server = await h2Server(t, (stream) => stream.end(ACCEPTANCE), { allowHTTP1: false });
    const made = provider(t, server.url, { ca: TEST_CERTIFICATE });
    const outcome = await create(made);
    assert.equal(outcome.kind, 'not-sent');
    assert.equal(outcome.evidence.phase, 'connecting');
    assert.deepEqual(server.posts, []);

    // It does answer to those who speak h2.
    const session = connect(server.url, { ca: TEST_CERTIFICATE });
    await once(session, 'connect');
    session.destroy();
  });
});
