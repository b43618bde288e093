import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { pino } from 'pino';
import { request } from 'undici';
import { LoginThrottle } from '../../src/board/access/login-throttle.ts';
import { startBoard, type Board } from '../../src/board/server.ts';
import { HTTP_LIMITS, startProbe } from '../../src/operate/monitor/http.ts';
import { openBrowser } from '../chromium.ts';
import { until } from '../until.ts';
import { bearing, CREDENTIALS, get, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

interface Asked {
  password?: string;
  cookie?: string;
  /** X-Forwarded-For. */
  from?: string;
}

async function ask(
  { url }: Board,
  { password, cookie, from }: Asked,
): Promise<{ status: number; cookie: string }> {
  const authorization = `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`;
  const response = await request(`${url}/style.css`, {
    headers: {
      ...(password === undefined ? {} : { authorization }),
      ...(cookie === undefined ? {} : { cookie }),
      ...(from === undefined ? {} : { 'x-forwarded-for': from }),
    },
  });
  await response.body.dump();
  return { status: response.statusCode, cookie: String(response.headers['set-cookie'] ?? '') };
}

suite('the doors of the board', () => {
  let fixture: BoardFixture;
  before(async () => {
    fixture = await openBoardFixture();
  });
  after(() => fixture.close());

  /** Tries that wait until the test lets them. */
  function heldThrottle() {
    const waits: number[] = [];
    const held = Promise.withResolvers<void>();
    const throttle = new LoginThrottle({ now: () => 0, wait: (ms) => (waits.push(ms), held.promise) });
    return { throttle, waits, release: () => held.resolve() };
  }

  test('wrong passwords slow down the client that guesses, and not a client that has logged in before', async () => {
    const { throttle, waits, release } = heldThrottle();
    await fixture.withBoard({ credentials: CREDENTIALS, throttle }, async (board) => {
      const { password } = CREDENTIALS;
      const first = await ask(board, { password });
      const port = new URL(board.url).port;
      assert.match(
        first.cookie,
        new RegExp(`^vidbatch-${port}=[\\w-]{32}; Path=/; HttpOnly; SameSite=Strict$`),
      );
      const cookie = first.cookie.split(';')[0] ?? '';
      for (let n = 0; n < 5; n++) assert.equal((await ask(board, { password: `bad${n}` })).status, 401);
      const guesses = [ask(board, { password: 'bad5' }), ask(board, { password: 'bad6' })];
      await until(async () => waits.length === 2);
      assert.equal((await ask(board, { password: 'bad7' })).status, 429, 'no more than two wait');
      for (let n = 0; n < 10; n++) {
        assert.equal((await ask(board, { password })).status, 200, 'the right password');
        assert.equal((await ask(board, { cookie })).status, 200, 'the cookie');
        assert.equal(
          (await ask(board, { cookie, password: 'bad' })).status,
          200,
          'the cookie, whatever else',
        );
      }
      release();
      assert.deepEqual(
        (await Promise.all(guesses)).map(({ status }) => status),
        [401, 401],
      );
      for (const wrong of [
        `${cookie}x`,
        cookie.slice(0, -1),
        `vidbatch-${port}=`,
        cookie.replace(port, '1'),
      ]) {
        assert.equal((await ask(board, { cookie: wrong })).status, 401, wrong);
      }
    });
  });

  test('from an address without an earlier login, the right password waits like a wrong one', async () => {
    const { throttle, waits, release } = heldThrottle();
    await fixture.withBoard({ credentials: CREDENTIALS, throttle }, async (board) => {
      for (let n = 0; n < 5; n++) await ask(board, { password: 'bad' });
      const right = ask(board, { password: CREDENTIALS.password });
      await until(async () => waits.length === 1);
      release();
      assert.equal((await right).status, 200);
    });
  });

  test('only a trusted proxy gives the client’s address; the log stays short', async () => {
    const lines: { event: string; address: string }[] = [];
    const log = pino(
      { level: 'warn' },
      { write: (line) => lines.push(JSON.parse(line) as (typeof lines)[0]) },
    );
    const guess = async (board: Board, from: string): Promise<number> =>
      (await ask(board, { password: 'bad', from })).status;
    const immediate = () => new LoginThrottle({ now: () => 0, wait: () => Promise.resolve() });
    const publicName = '127.0.0.1';
    await fixture.withBoard(
      { credentials: CREDENTIALS, publicName, log, throttle: immediate() },
      async (board) => {
        for (let n = 0; n < 30; n++) await guess(board, `10.1.0.${n}`);
      },
    );
    assert.deepEqual(new Set(lines.map(({ address }) => address)), new Set(['127.0.0.1']));
    assert.equal(lines.length, 10, 'ten lines a minute');
    lines.length = 0;
    const trustedProxies = ['127.0.0.0/8', '10.9.0.1'];
    await fixture.withBoard(
      { credentials: CREDENTIALS, publicName, trustedProxies, log, throttle: immediate() },
      async (board) => {
        await guess(board, '203.0.113.7');
        await guess(board, '198.51.100.1, 203.0.113.8');
        await guess(board, '203.0.113.9, 10.9.0.1');
        await guess(board, 'z'.repeat(10_000));
        await guess(board, '2001:db8::1');
      },
    );
    assert.deepEqual(
      lines.map(({ address }) => address),
      ['203.0.113.7', '203.0.113.8', '203.0.113.9', '127.0.0.1', '2001:db8::1'],
    );
    for (const name of ['proxy.lan', '10.0.0.0/99', '127.1', '']) {
      const start = startBoard({
        app: fixture.app,
        host: '127.0.0.1',
        port: 0,
        log: silent,
        trustedProxies: [name],
      });
      await assert.rejects(start, { code: 'BAD_PROXY', exitCode: 2 });
    }
  });

  test('without credentials the token of the printed URL opens it, and becomes a cookie', async () => {
    await fixture.withBoard({}, async (board) => {
      const { url, token = '', entry } = board;
      assert.ok(Buffer.from(token, 'base64url').length * 8 >= 128);
      assert.equal(entry, `${url}/?token=${token}`);
      assert.equal((await get({ url }, '/healthz')).status, 200);
      for (const path of ['/', '/queues', '/api/batches', '/style.css', '/?token=', `/?token=${token}x`]) {
        const { status, text, headers } = await get({ url }, path);
        assert.equal(status, 401, path);
        assert.match(text, /NO_TOKEN.*open the URL that `vidbatch board` printed/);
        assert.match(headers.get('www-authenticate') ?? '', /^Bearer /);
      }
      const pause = `${url}/queues/api/queues/pause`;
      const pressed = await request(pause, { method: 'PUT' });
      assert.equal(pressed.statusCode, 401, 'no button for others');
      await pressed.body.dump();
      assert.equal((await get(board, '/api/batches')).status, 200, 'a program bears it');

      const shown = async (path: string) => fetch(`${url}${path}`, { redirect: 'manual' });
      const opened = await shown(`/batches/a%20b?state=pending&token=${token}`);
      assert.equal(opened.status, 303);
      assert.equal(opened.headers.get('location'), '/batches/a%20b?state=pending');
      const cookie = opened.headers.get('set-cookie') ?? '';
      assert.match(cookie, /; HttpOnly; SameSite=Strict$/);
      assert.doesNotMatch(cookie, new RegExp(token));
      assert.equal((await shown(`//evil.example/?token=${token}`)).headers.get('location'), '/evil.example/');
    });
  });

  test('a browser with the token reads, presses buttons, and a page of another port does neither', async () => {
    const browser = await openBrowser();
    try {
      await fixture.withBoard({}, async (board) => {
        const page = await browser.newPage();
        await page.goto(board.entry);
        assert.equal(page.url(), `${board.url}/`, 'the token is gone from the address');
        assert.equal(await page.title(), 'Batches · vidbatch');
        await page.goto(`${board.url}/queues`);
        await page.getByText('all batches').first().waitFor();
        const press = (path: string) =>
          page.evaluate(async (target) => (await fetch(target, { method: 'PUT' })).status, path);
        assert.equal(await press('/queues/api/queues/pause'), 200);
        assert.equal(await press('/queues/api/queues/resume'), 200);
        await fixture.withBoard({}, async (other) => {
          await page.goto(other.entry);
          const kept = await page.evaluate(
            (target) =>
              fetch(target, { method: 'PUT', mode: 'no-cors', credentials: 'include' }).then(
                () => 'sent',
                () => 'kept back',
              ),
            `${board.url}/queues/api/queues/pause`,
          );
          assert.equal(kept, 'kept back');
          await page.goto(`${board.url}/`);
          assert.equal(
            await page.title(),
            'Batches · vidbatch',
            'two boards do not take each other’s cookie',
          );
        });
        const { rows } = await fixture.app.db.query<{ paused: boolean }>(
          'select paused_at is not null as paused from vidbatch.meta',
        );
        assert.deepEqual(rows, [{ paused: false }]);
      });
    } finally {
      await browser.close();
    }
  });

  test('a request that is refused before it is read gets the headers of every other answer', async () => {
    await fixture.withBoard({}, async ({ url, token }) => {
      const port = Number(new URL(url).port);
      const heads = {
        '/batches/%zz': 400,
        [`/batches/${'x'.repeat(4000)}`]: 414,
      };
      for (const [path, status] of Object.entries(heads)) {
        const { status: found, headers } = await get({ url, token }, path);
        assert.deepEqual([found, headers.get('x-frame-options')], [status, 'DENY'], path.slice(0, 20));
        assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/);
      }
      for (const [text, status] of [
        [`GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, 431],
        ['NONSENSE\r\n\r\n', 400],
      ] as const) {
        const answer = await raw(port, text);
        assert.match(
          answer,
          new RegExp(`^HTTP/1.1 ${status} .*content-security-policy: default-src 'none'`, 's'),
        );
      }
    });
  });

  test('slow clients and idle ones are cut off, on the board and at the probes of a worker', async () => {
    const limits = { ...HTTP_LIMITS, headersMs: 200, requestMs: 400 };
    const subject = {
      alive: async () => [],
      ready: async () => [],
      metrics: async () => ({ type: 'text/plain', text: '' }),
    };
    const probe = await startProbe({ host: '127.0.0.1', port: 0 }, subject, limits);
    try {
      await fixture.withBoard({ limits }, async (board) => {
        for (const { url } of [board, probe]) {
          const port = Number(new URL(url).port);
          assert.match(await raw(port, 'GET / HTTP/1.1\r\n'), /^HTTP\/1.1 408 |^$/);
          assert.equal(await raw(port, ''), await raw(port, ''), 'a connection without a byte');
        }
        const port = Number(new URL(board.url).port);
        const headers = `host: 127.0.0.1\r\ncontent-type: application/json\r\nauthorization: ${bearing(board)['authorization']}`;
        const put = `PUT /queues/api/queues/pause HTTP/1.1\r\n${headers}\r\ncontent-length: 1000\r\n\r\n{`;
        assert.match(await raw(port, put), /^HTTP\/1.1 (?:408|400) |^$/, 'a body that does not come');
      });
    } finally {
      await probe.close();
    }
  });

  test('the number of open connections has a limit', async () => {
    await fixture.withBoard({ limits: { ...HTTP_LIMITS, connections: 2 } }, async ({ url }) => {
      const port = Number(new URL(url).port);
      const open = [await socketTo(port), await socketTo(port)];
      assert.equal(await raw(port, ''), '', 'the third is closed');
      assert.deepEqual(
        open.map(({ destroyed }) => destroyed),
        [false, false],
      );
      for (const socket of open) socket.destroy();
    });
  });
});

async function socketTo(port: number) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Writes that and waits until the other side ends the connection. */
async function raw(port: number, text: string): Promise<string> {
  const socket = await socketTo(port);
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.write(text);
  await once(socket, 'close');
  return answer;
}
