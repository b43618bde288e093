/** What is sent, by the profile: read from the wire. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import type { Profile } from '../../src/provider/profile/schema.ts';
import { profileWith } from './answers.ts';
import { API_KEY, create, provider, setUp } from './fixture.ts';
import { ACCEPTANCE, http, type WireRequest } from './server.ts';

const accept = ({ socket }: WireRequest): boolean => socket.write(http(200, ACCEPTANCE));

/** What reaches the server for these bodies, by a profile with these lines. */
async function sent(
  t: TestContext,
  lines: readonly string[],
  body = '{"model":"m","prompt":"p"}',
  idempotencyKey = 's1-0',
): Promise<WireRequest> {
  const [made, server] = await setUp(t, accept, { profile: profileWith(...lines) });
  assert.equal((await made.create(body, { idempotencyKey })).kind, 'accepted');
  const [request] = server.requests;
  assert.ok(request !== undefined && server.requests.length === 1);
  return request;
}

describe('the body of a create', () => {
  it('is each example of the contract page, byte for byte, by the default profile', async (t) => {
    const page = readFileSync(new URL('../../jobs/contract.json', import.meta.url), 'utf8');
    const [made, server] = await setUp(t, accept);
    const bodies = (JSON.parse(page) as unknown[]).map((example) => JSON.stringify(example));
    for (const body of bodies) await made.create(body, { idempotencyKey: 'k' });
    assert.equal(bodies.length, 4);
    assert.deepEqual(
      server.requests.map(({ path, body }) => [path, body]),
      bodies.map((body) => ['/v1/video/generations', body]),
    );
  });

  const mapping = [
    'create:',
    '  path: { text: /t2v, image: /i2v, start-end: /se2v, reference: /r2v }',
    '  body:',
    "    model: '${model}'",
    "    input: { text: '${prompt}', frames: ['${image}', '${last_image}', '${reference_image_urls[]}'] }",
    "    seconds: '${duration:text}'",
    "    seed: '${extra_body.seed}'",
    "    mode: '${extra_body.constructor}'",
  ];
  const rows: [row: Record<string, unknown>, path: string, body: unknown][] = [
    [
      { model: 'm', prompt: 'p', duration: 5, extra_body: { seed: 7 } },
      '/t2v',
      { model: 'm', input: { text: 'p' }, seconds: '5', seed: 7 },
    ],
    [{ model: 'm', prompt: 'p', image: 'a' }, '/i2v', { model: 'm', input: { text: 'p', frames: ['a'] } }],
    [
      { model: 'm', prompt: 'p', image: 'a', last_image: 'b' },
      '/se2v',
      { model: 'm', input: { text: 'p', frames: ['a', 'b'] } },
    ],
    [
      { model: 'm', prompt: 'p', reference_image_urls: ['a', 'b'] },
      '/r2v',
      { model: 'm', input: { text: 'p', frames: ['a', 'b'] } },
    ],
  ];
  for (const [row, path, body] of rows) {
    it(`goes to ${path} as the profile maps it`, async (t) => {
      const request = await sent(t, mapping, JSON.stringify(row));
      assert.equal(request.path, path);
      assert.deepEqual(JSON.parse(request.body), body);
    });
  }

  it('that is no object is not sent where it must be mapped', async (t) => {
    const [made, server] = await setUp(t, accept, { profile: profileWith(...mapping) });
    const outcome = await made.create('[]', { idempotencyKey: 'k' });
    assert.deepEqual([outcome.kind, outcome.evidence.code], ['not-sent', 'INVALID_BODY']);
    assert.equal(server.requests.length, 0);
  });
});

describe('the headers of a create', () => {
  it('hold the key as the profile says', async (t) => {
    const { headers } = await sent(t, ['auth: { header: X-Api-Key }']);
    assert.equal(headers['x-api-key'], API_KEY);
    assert.equal(headers['authorization'], undefined);
    const token = await sent(t, ["auth: { header: Authorization, prefix: 'Token ' }"]);
    assert.equal(token.headers['authorization'], `Token ${API_KEY}`);
  });

  it('hold no key where the profile needs none', async (t) => {
    const profile = profileWith('auth: none');
    const [made, server] = await setUp(t, accept, { profile, apiKey: undefined });
    assert.equal((await create(made)).kind, 'accepted');
    assert.equal((await made.query('t')).kind, 'task');
    const [keyed, other] = await setUp(t, accept, { profile });
    await create(keyed);
    for (const { headers } of [...server.requests, ...other.requests])
      assert.equal(headers['authorization'], undefined);
  });

  it('are not sent without a key that the profile needs: every row waits', async (t) => {
    const [made, server] = await setUp(t, accept, { apiKey: undefined });
    const { kind, evidence } = await create(made);
    assert.deepEqual([kind, evidence.code, evidence.phase], ['halted', 'NO_API_KEY', 'connecting']);
    const report = await made.query('t');
    assert.ok(report.kind === 'transient' && report.trouble === 'refused');
    assert.equal(server.requests.length, 0);
  });

  it('have those of the profile, which cannot replace the key or the idempotency key', async (t) => {
    const { headers } = await sent(t, [
      'create: { headers: { X-Async: enable, User-Agent: mine, Idempotency-Key: one, x-api-key: other } }',
      'auth: { header: X-Api-Key }',
    ]);
    assert.equal(headers['x-async'], 'enable');
    assert.equal(headers['user-agent'], 'mine');
    assert.equal(headers['idempotency-key'], 's1-0');
    assert.equal(headers['x-api-key'], API_KEY);
  });

  it('have no idempotency key where the profile says none', async (t) => {
    const { headers } = await sent(t, ['idempotency: none']);
    assert.equal(headers['idempotency-key'], undefined);
  });

  it('have a key that is too long as a hash, which is the same each time', async (t) => {
    const line = 'idempotency: { header: X-Once, honoured: false, longest: 32 }';
    const keys = ['k'.repeat(32), 'k'.repeat(33), 'k'.repeat(33), `${'k'.repeat(32)}l`];
    const seen: (string | undefined)[] = [];
    for (const key of keys) seen.push((await sent(t, [line], undefined, key)).headers['x-once']);
    assert.equal(seen[0], keys[0]);
    assert.match(seen[1] ?? '', /^[\w-]{32}$/);
    assert.equal(seen[2], seen[1]);
    assert.notEqual(seen[3], seen[1]);
  });
});

describe('speaking', () => {
  it('uses the same connections, and one object for each profile', async (t) => {
    const [made, server] = await setUp(t, accept, { connections: 1 });
    const other = profileWith('create: { path: /other }');
    const speaker = made.speaking(other);
    assert.equal(made.speaking(other), speaker);
    assert.equal(speaker.speaking(made.profile), made);
    await create(made);
    await create(speaker);
    assert.deepEqual(
      server.requests.map(({ path, nth }) => [path, nth]),
      [
        ['/v1/video/generations', 1],
        ['/other', 2],
      ],
    );
    await speaker.close();
    assert.equal((await create(made)).evidence.code, 'UND_ERR_CLOSED');
  });
});

describe('a task is asked for', () => {
  const byUrl = profileWith('create: { queryUrl: [poll] }', 'task: { path: "/tasks/{id}/state" }');
  /** `Accepted.queryUrl` of an answer with this URL. */
  async function queryUrl(t: TestContext, poll: (url: string) => unknown): Promise<string | undefined> {
    const [made, server] = await setUp(
      t,
      ({ socket }) => socket.write(http(200, JSON.stringify({ task_id: 't', poll: poll(server.url) }))),
      { profile: byUrl },
    );
    const outcome = await create(made);
    assert.ok(outcome.kind === 'accepted');
    return outcome.queryUrl;
  }

  it('at the URL of the create answer, absolute or relative', async (t) => {
    assert.equal(await queryUrl(t, (url) => `${url}/v9/t?x=1#part`), '/v9/t?x=1');
    assert.equal(await queryUrl(t, () => '/v9/t'), '/v9/t');
    assert.equal(await queryUrl(t, () => '/v9/ä b'), '/v9/%C3%A4%20b');
  });

  it('at no URL of another origin, or with a user, or with the key in it', async (t) => {
    const foreign = [
      () => 'https://evil.example/v9/t',
      () => '//evil.example/v9/t',
      () => '\\\\evil.example\\t',
      (url: string) => url.replace('http://', 'http://user:word@'),
      (url: string) => url.replace('127.0.0.1', 'localhost'),
      (url: string) => `${url.replace('http:', 'https:')}/v9/t`,
      () => `/v9/t?key=${API_KEY}`,
      () => `/${'x'.repeat(3000)}`,
      () => 'javascript:alert(1)',
      () => 7,
    ];
    for (const url of foreign) assert.equal(await queryUrl(t, url), undefined, String(url('http://own')));
  });

  it('by the path of the profile otherwise', async (t) => {
    const [made, server] = await setUp(t, accept, { profile: byUrl });
    await made.query('a/b', { queryUrl: '/v9/t?x=1' });
    await made.query('a/b$&');
    for (const queryUrl of ['http://evil.example/', 'v9/t', '/v 9', '', '/v9\r\nx: y'])
      await made.query('t', { queryUrl });
    assert.deepEqual(
      server.requests.map(({ path }) => path),
      ['/v9/t?x=1', '/tasks/a%2Fb%24%26/state', ...Array.from({ length: 5 }, () => '/tasks/t/state')],
    );
  });
});

describe('the video of a provider that tells no URL', () => {
  const content: Profile = profileWith("task: { content: '/v1/videos/{id}/content' }");
  const done = ({ socket }: WireRequest): boolean =>
    socket.write(http(200, '{"id":"t","status":"completed"}'));

  it('is at its content path, when the task is completed', async (t) => {
    const [made, server] = await setUp(t, done, { profile: content });
    const report = await made.query('a/b');
    assert.ok(report.kind === 'task');
    assert.equal(report.resultUrl, `${server.url}/v1/videos/a%2Fb/content`);
    const [running] = await setUp(
      t,
      ({ socket }) => socket.write(http(200, '{"id":"t","status":"running"}')),
      { profile: content },
    );
    const later = await running.query('t');
    assert.ok(later.kind === 'task' && later.resultUrl === undefined);
    const [failed] = await setUp(
      t,
      ({ socket }) => socket.write(http(200, '{"id":"t","status":"completed","error":"no"}')),
      { profile: content },
    );
    const end = await failed.query('t');
    assert.ok(end.kind === 'task' && end.status === 'failed' && end.resultUrl === undefined);
  });

  it('gets the key, and no other URL does', (t) => {
    const made = provider(t, 'https://api.example/gw', { profile: content });
    const own = 'https://api.example/gw/v1/videos/a%2Fb/content';
    assert.deepEqual(made.headersFor(own), { authorization: `Bearer ${API_KEY}` });
    for (const url of [
      'https://evil.example/gw/v1/videos/a/content',
      'https://api.example.evil.example/gw/v1/videos/a/content',
      'https://api.example:444/gw/v1/videos/a/content',
      'http://api.example/gw/v1/videos/a/content',
      'https://evil@api.example/gw/v1/videos/a/content',
      'https://api.example/v1/videos/a/content',
      'https://api.example/gw/v1/videos/a/b/content',
      'https://api.example/gw/v1/videos//content',
      'https://api.example/gw/v1/videos/a/content?to=evil',
      'https://api.example/gw/v1/videos/a/content/../../../files',
      '//api.example/gw/v1/videos/a/content',
      '',
    ])
      assert.deepEqual(made.headersFor(url), {}, url);
    assert.deepEqual(made.speaking(profileWith()).headersFor(own), {});
  });
});
