import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { createProvider } from '../../src/provider/client.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { API_KEY, BODY, create, freePort, provider, setUp } from './fixture.ts';
import { ACCEPTANCE, http, wireServer } from './server.ts';

describe('a create', () => {
  it('is one POST with exactly these headers, and the body as given', async (t) => {
    const [made, server] = await setUp(t, ({ socket }) => socket.write(http(200, ACCEPTANCE)));
    const outcome = await create(made);
    assert.ok(outcome.kind === 'accepted');
    assert.equal(outcome.taskId, 'task_1');
    assert.equal(outcome.evidence.body, ACCEPTANCE);

    const [request] = server.requests;
    assert.equal(server.requests.length, 1);
    assert.equal(request?.method, 'POST');
    assert.equal(request?.path, '/v1/video/generations');
    assert.equal(request?.body, BODY);
    const { 'user-agent': agent, ...headers } = request?.headers ?? {};
    assert.match(agent ?? '', /^vidbatch\/\d+\.\d+\.\d+$/);
    assert.deepEqual(headers, {
      host: new URL(server.url).host,
      connection: 'keep-alive',
      authorization: `Bearer ${API_KEY}`,
      accept: 'application/json',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'idempotency-key': 's1-0',
      'content-length': String(Buffer.byteLength(BODY)),
    });
  });

  it('goes below the path of the base URL', async (t) => {
    const server = await wireServer(({ socket }) => socket.write(http(200, ACCEPTANCE)));
    t.after(() => server.close());
    const made = provider(t, `${server.url}/gateway`);
    await create(made);
    assert.equal(server.requests[0]?.path, '/gateway/v1/video/generations');
    assert.equal(made.origin, `${server.url}/gateway`);
  });
});

describe('a refusal', () => {
  const refusals: [string, string, Outcome['kind']][] = [
    ['429 with Retry-After', http(429, '', { 'retry-after': '3' }), 'throttled'],
    ['429 from a proxy', http(429, '<html>slow down</html>'), 'throttled'],
    ['429 without a length', 'HTTP/1.1 429 Too Many\r\nconnection: close\r\n\r\n', 'throttled'],
    ['429 cut off', 'HTTP/1.1 429 Too Many\r\ncontent-length: 9\r\n\r\n', 'throttled'],
    ['401', http(401, '{"error":{"message":"no","type":"new_api_error","code":""}}'), 'halted'],
    ['404', http(404, '<html></html>'), 'halted'],
    ['503', http(503, '{"error":{"code":"model_not_found"}}'), 'not-sent'],
    ['400', http(400, '{"code":"invalid_request","message":"no"}'), 'rejected'],
  ];
  for (const [name, wire, kind] of refusals) {
    it(`with ${name} is ${kind}, after one POST`, async (t) => {
      const [made, server] = await setUp(t, ({ socket }) => socket.end(wire));
      const outcome = await create(made);
      assert.equal(outcome.kind, kind);
      assert.equal(server.posts(), 1);
    });
  }

  it('can be moved by a code of the configuration', async (t) => {
    const wire = http(500, '{"code":"do_request_failed"}');
    const [made] = await setUp(t, ({ socket }) => socket.end(wire), {
      codes: { do_request_failed: 'not-sent' },
    });
    assert.equal((await create(made)).kind, 'not-sent');
  });

  it('that redirects is not followed', async (t) => {
    const [elsewhere, target] = await setUp(t, ({ socket }) => socket.write(http(200, ACCEPTANCE)));
    const [made, server] = await setUp(t, ({ socket }) => {
      socket.write(http(307, '', { location: `${target.url}/v1/video/generations` }));
    });
    const outcome = await create(made);
    assert.equal(outcome.kind, 'halted');
    assert.match(outcome.evidence.message ?? '', new RegExp(`redirects to ${new URL(target.url).host};`));
    assert.deepEqual([server.posts(), target.posts()], [1, 0]);
    assert.equal(elsewhere.origin, target.url);
  });
});

describe('the API key', () => {
  const echo = `bad key ${API_KEY} or ${API_KEY.replace('/', '\\/')} or ${encodeURIComponent(API_KEY)}`;

  it('is in no outcome, however the provider echoes it', async (t) => {
    for (const [status, body] of [
      [401, `{"error":{"message":"${echo}","code":"${API_KEY}"}}`],
      [200, `{"error":"${echo}"}`],
      [200, `{"id":"task_1","status":"${API_KEY}","echo":"${echo}"}`],
      [502, echo],
    ] as const) {
      const wire = http(status, body, { 'x-request-id': API_KEY });
      const [made] = await setUp(t, ({ socket }) => socket.end(wire));
      const outcome = JSON.stringify(await create(made));
      assert.match(outcome, /\[API key\]/);
      assert.doesNotMatch(outcome, /0123456789/);
    }
  });

  it('is in no report of a task', async (t) => {
    for (const status of [200, 400, 500]) {
      const body = `{"status":"${API_KEY}","fail_reason":"${echo}","video_url":"https://x/?k=${encodeURIComponent(API_KEY)}"}`;
      const [made] = await setUp(t, ({ socket }) => socket.end(http(status, body)));
      assert.doesNotMatch(JSON.stringify(await made.query('t')), /0123456789/);
    }
  });

  it('that cannot travel in a header is refused at once', () => {
    const options = { baseUrl: 'https://api.example.com', apiKey: 'sk-0123456789\n' };
    assert.throws(
      () => createProvider(options),
      (error) =>
        error instanceof VidbatchError && error.exitCode === 2 && !error.message.includes('0123456789'),
    );
  });
});

describe('a query', () => {
  it('asks for one task by its escaped id, and reads the answer', async (t) => {
    const [made, server] = await setUp(t, ({ socket }) =>
      socket.write(http(200, '{"code":"success","data":{"status":"IN_PROGRESS","progress":"50%"}}')),
    );
    const report = await made.query('task/1 ä');
    assert.ok(report.kind === 'task');
    assert.equal(report.status, 'in_progress');
    assert.equal(report.progress, 50);
    const [request] = server.requests;
    assert.equal(request?.method, 'GET');
    assert.equal(request?.path, '/v1/video/generations/task%2F1%20%C3%A4');
    assert.equal(request?.headers['authorization'], `Bearer ${API_KEY}`);
    assert.equal(request?.headers['content-type'], undefined);
  });

  it('that gets no answer is to be asked again', async (t) => {
    const [made] = await setUp(t, ({ socket }) => socket.destroy());
    assert.equal((await made.query('t\ud800')).kind, 'transient');
    const nowhere = provider(t, `http://127.0.0.1:${await freePort()}`);
    assert.equal((await nowhere.query('t')).kind, 'transient');
  });
});

describe('closing', () => {
  it('waits for the answers under way, and may be done twice', async (t) => {
    const asked = Promise.withResolvers<Socket>();
    const [made] = await setUp(t, ({ socket }) => asked.resolve(socket));
    const pending = create(made);
    const socket = await asked.promise;
    const closing = Promise.all([made.close(), made.close()]);
    socket.write(http(200, ACCEPTANCE));
    assert.equal((await pending).kind, 'accepted');
    await closing;
    await made.close();
  });

  it('leaves no connection open', async (t) => {
    const [made, server] = await setUp(t, ({ socket }) => socket.write(http(200, ACCEPTANCE)));
    await create(made);
    const socket = server.requests[0]?.socket;
    assert.ok(socket !== undefined);
    const gone = once(socket, 'close');
    await made.close();
    await gone;
  });
});

describe('options that cannot work', () => {
  const base = { baseUrl: 'https://api.example.com', apiKey: API_KEY };
  for (const wrong of [
    { timeoutMs: 0 },
    { timeoutMs: Number.NaN },
    { timeoutMs: 2 ** 31 },
    { codes: { a: 'accepted' } },
  ]) {
    it(`are refused: ${JSON.stringify(wrong)}`, () => {
      assert.throws(() => createProvider({ ...base, ...wrong }), { name: 'VidbatchError', exitCode: 2 });
    });
  }
});
