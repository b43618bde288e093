import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { judgeProvider, type Certificate, type ProviderFacts } from '../../../src/operate/doctor/provider.ts';
import { redactor } from '../../../src/provider/api-key.ts';
import { builtInProfile } from '../../../src/provider/profile/load.ts';
import { startSimulatorProcess } from '../../e2e/simulator.ts';
import { EXPIRED_CERTIFICATE, TEST_CERTIFICATE, TEST_KEY } from '../../provider/certificate.ts';
import { closed, http, listen, wireServer } from '../../provider/server.ts';
import { examined, told } from './patient.ts';

const KEY = 'sk-TheKeyThatTheDoctorMustNotShow';
const folder = { VIDBATCH_DATA_DIR: '/nowhere/vidbatch', VIDBATCH_API_KEY: KEY };
const look = (
  baseUrl: string,
  over: Record<string, string> = {},
  limitMs?: number,
): ReturnType<typeof examined> => examined({ ...folder, VIDBATCH_BASE_URL: baseUrl, ...over }, limitMs);

describe('the simulator', async () => {
  const simulator = await startSimulatorProcess('--key', KEY);
  after(simulator.close);

  it('proves URL and key by a task that is not there, and nothing is created', async () => {
    const checks = await look(simulator.url);
    assert.match(told(checks, 'provider-connection'), /^ok: .* takes connections/);
    assert.match(told(checks, 'provider-answer'), /^ok: .*URL and key are right$/);
    assert.match(told(checks, 'provider-clock'), /^ok/);
    assert.equal((await simulator.stats()).creates, 0);
  });

  it('refuses another key', async () => {
    const checks = await look(simulator.url, { VIDBATCH_API_KEY: 'sk-wrong' });
    assert.match(told(checks, 'provider-answer'), /^failed: the key is refused: HTTP 401: Invalid token/);
  });
});

describe('a profile that knows no code for a task that is not there', () => {
  it('leaves a 404 open: the URL may be right', () => {
    const { profile } = builtInProfile('openrouter') ?? assert.fail('no such profile');
    const body = '{"error":{"code":404,"message":"Job not found"}}';
    const answer = { kind: 'answer', answer: { status: 404, headers: {}, body } } as const;
    const facts = { baseUrl: 'https://openrouter.ai', addresses: [], answer, now: 0 };
    const check = judgeProvider(facts, (text) => text, profile).find(
      (one) => one.check === 'provider-answer',
    );
    assert.equal(check?.status, 'warning');
    assert.match(check.what, /may be an unknown address: HTTP 404: Job not found/);
  });
});

describe('what is not the API', () => {
  for (const [what, status, body, headers, says] of [
    [
      'a web page',
      200,
      '<html><title>Welcome</title>',
      {},
      /^failed: it answers with a web page.*: HTTP 200: Welcome/,
    ],
    ['a page that is not there', 404, 'nothing here', {}, /^failed: it answers with a web page/],
    [
      'an unknown address of an API',
      404,
      '{"error":{"message":"no route"}}',
      {},
      /^failed: the address is not known there/,
    ],
    [
      'a redirect',
      301,
      '',
      { location: 'https://elsewhere' },
      /^failed: it redirects to https:\/\/elsewhere/,
    ],
    ['a key without rights', 403, '{"error":{"message":"no"}}', {}, /^failed: the key has no right/],
    [
      'an empty account',
      403,
      '{"code":"insufficient_user_quota","message":"no"}',
      {},
      /^warning: the account is empty/,
    ],
    ['a throttle', 429, '', {}, /^warning: it throttles/],
    ['a broken gateway', 502, '<html>', {}, /^failed: it has a server error/],
    ['some other JSON', 200, '{"hello":1}', {}, /^warning: it answers in an unknown way/],
    ['an echo of the key', 500, `{"message":"${KEY}"}`, {}, /^failed: .*\[API key\]/],
  ] as [string, number, string, Record<string, string>, RegExp][]) {
    it(`is reported: ${what}`, async () => {
      const server = await wireServer(({ socket }) => socket.end(http(status, body, headers)));
      const checks = await look(server.url);
      await server.close();
      assert.match(told(checks, 'provider-answer'), says);
      assert.ok(!JSON.stringify([...checks]).includes(KEY));
      assert.deepEqual([server.requests.length, server.posts()], [1, 0], 'one question, and no POST');
    });
  }
});

describe('a provider with a certificate', () => {
  const refusal = '{"error":{"code":"task_not_exist","message":"task_not_exist"}}';
  for (const [what, cert, says] of [
    ['of its own making', TEST_CERTIFICATE, /^failed: is not trusted: (DEPTH_ZERO_)?SELF_SIGNED/],
    ['that has expired', EXPIRED_CERTIFICATE, /^failed: is not trusted/],
  ] as const) {
    it(`${what} is not asked anything`, async () => {
      let asked = 0;
      const server = createHttps({ key: TEST_KEY, cert }, (_request, response) => {
        asked += 1;
        response.end(refusal);
      });
      const port = await listen(server);
      const checks = await look(`https://localhost:${port}`);
      await closed(server);
      assert.match(told(checks, 'provider-certificate'), says);
      assert.equal(told(checks, 'provider-answer'), 'nothing');
      assert.equal(asked, 0, 'the key did not leave');
    });
  }

  const facts: ProviderFacts = { baseUrl: 'https://api.example.com', addresses: ['192.0.2.1'], now: 0 };
  const judged = (over: Partial<ProviderFacts>): string[] =>
    judgeProvider({ ...facts, ...over }, redactor(KEY)).map(({ check, status }) => `${status} ${check}`);

  it('that ends soon is a warning', () => {
    const days = (n: number): Certificate => ({ fault: null, validTo: n * 24 * 3_600_000 });
    assert.deepEqual(judged({ certificate: days(30) }), ['ok provider-dns', 'ok provider-certificate']);
    assert.deepEqual(judged({ certificate: days(13) }), ['ok provider-dns', 'warning provider-certificate']);
  });

  it('and its clock is compared, ahead or behind', () => {
    assert.deepEqual(judged({ skewMs: 4_000 }), ['ok provider-dns', 'ok provider-clock']);
    assert.deepEqual(judged({ skewMs: -60_000 }), ['ok provider-dns', 'warning provider-clock']);
  });
});

describe('servers that do not answer', () => {
  it('are reported one by one, within the time limit, and no check delays the others', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const at = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const checks = await look(
      `http://${at}`,
      { DATABASE_URL: `postgres://me@${at}/db`, REDIS_URL: `redis://${at}` },
      200,
    );
    assert.match(told(checks, 'postgres'), /^failed: .*(timeout|no answer)/i);
    assert.match(told(checks, 'redis'), /^failed: .*(timed out|no answer)/i);
    assert.match(told(checks, 'provider-answer'), /^failed: no complete answer within 0\.2 s/);
    assert.match(told(checks, 'data-folder'), /^ok|^failed/);
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });

  it('are reported one by one at an address where no server listens', async () => {
    const at = '127.0.0.1:1';
    const checks = await look(`http://${at}`, {
      DATABASE_URL: `postgres://me@${at}/db`,
      REDIS_URL: `redis://${at}`,
    });
    assert.match(told(checks, 'postgres'), /^failed: .*ECONNREFUSED/);
    assert.match(told(checks, 'redis'), /^failed: .*ECONNREFUSED/);
    assert.match(told(checks, 'provider-connection'), /^failed: .*ECONNREFUSED/);
  });

  it('are reported for a host name that does not exist', async () => {
    assert.match(
      told(await look('https://no-such-host.invalid'), 'provider-dns'),
      /^failed: .* has no address/,
    );
  });
});
