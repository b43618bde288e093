import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Browser, Page } from 'playwright-core';
import { request } from 'undici';
import { LoginThrottle } from '../../src/board/access/login-throttle.ts';
import { Proxies } from '../../src/board/access/proxy.ts';
import type { Board } from '../../src/board/server.ts';
import { Sessions } from '../../src/board/access/sessions.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { until } from '../until.ts';
import { assertAccessible, assertFits } from './checks.ts';
import { BASIC, CREDENTIALS, openBoardFixture, type BoardFixture } from './fixture.ts';

const FORM = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' };

async function post(
  { url }: Pick<Board, 'url'>,
  fields: Record<string, string>,
  { path = '/sign-in', headers = FORM }: { path?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; location: string | undefined; cookie: string }> {
  const body = new URLSearchParams(fields).toString();
  const response = await request(`${url}${path}`, { method: 'POST', headers, body });
  await response.body.dump();
  const [cookie = ''] = String(response.headers['set-cookie'] ?? '').split(';');
  return {
    status: response.statusCode,
    location: response.headers['location'] as string | undefined,
    cookie,
  };
}

async function statusWith({ url }: Pick<Board, 'url'>, cookie: string): Promise<number> {
  const response = await request(`${url}/api/batches`, { headers: { cookie } });
  await response.body.dump();
  return response.statusCode;
}

suite('signing in', () => {
  let fixture: BoardFixture;
  let browser: Browser;
  before(async () => {
    fixture = await openBoardFixture();
    await fixture.submit('later', { one: 'a tea hill' }, 'paused');
    browser = await openBrowser();
  });
  after(async () => {
    await browser.close();
    await fixture.close();
  });

  async function signIn(page: Page, password: string): Promise<void> {
    await page.getByLabel('User').fill(CREDENTIALS.user);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  test('a browser gets a form, comes back to its page, and signs out; another browser stays signed in', async () => {
    await fixture.withBoard({ credentials: CREDENTIALS, readOnly: true }, async (board) => {
      const [page, other] = [await openPage(browser), await openPage(browser)];
      const asked = `${board.url}/batches/later?state=pending`;
      for (const one of [page, other]) {
        await one.goto(asked);
        assert.equal(new URL(one.url()).pathname, '/sign-in');
        await signIn(one, 'a guess');
        await one.getByRole('alert').getByText('the name or the password is wrong').waitFor();
        await signIn(one, CREDENTIALS.password);
        await one.getByRole('heading', { name: 'later' }).waitFor();
        assert.equal(one.url(), asked);
      }
      const [cookie] = await page.context().cookies();
      assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict']);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      assert.equal(
        await statusWith(board, `${cookie?.name}=${cookie?.value}`),
        401,
        'the secret opens nothing more',
      );
      await page.goto(asked);
      assert.equal(new URL(page.url()).pathname, '/sign-in');
      await other.reload();
      assert.equal(other.url(), asked);
      await page.close();
      await other.close();
    });
  });

  test('without credentials the form says where the token is, and takes it', async () => {
    const page = await openPage(browser);
    await page.goto(`${fixture.board.url}/batches/later`);
    await page.getByText('Open the URL that vidbatch board printed').waitFor();
    await page.getByLabel('Token').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('the token is wrong').waitFor();
    await page.getByLabel('Token').fill(`${fixture.board.token} `);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'later' }).waitFor();
    await page.close();
  });

  test('the form and the pages with their header are clean for axe, and fit a telephone', async () => {
    await fixture.withBoard({ credentials: CREDENTIALS }, async (board) => {
      // A script of the test may run on a page only without the page's own policy.
      const page = await openPage(browser, { viewport: { width: 390, height: 844 }, bypassCSP: true });
      await page.goto(board.url);
      await assertAccessible(page);
      await assertFits(page);
      await signIn(page, CREDENTIALS.password);
      await page.getByRole('button', { name: 'Live · Pause' }).waitFor();
      await assertAccessible(page);
      await assertFits(page);
      await page.close();
    });
  });

  test('a page whose session has ended leads to the form', async () => {
    await fixture.withBoard({ credentials: CREDENTIALS }, async (board) => {
      const page = await openPage(browser);
      await page.goto(board.url);
      await signIn(page, CREDENTIALS.password);
      await page.getByRole('button', { name: 'Live · Pause' }).waitFor();
      const [cookie] = await page.context().cookies();
      await post(
        board,
        {},
        { path: '/sign-out', headers: { ...FORM, cookie: `${cookie?.name}=${cookie?.value}` } },
      );
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await page.close();
    });
  });

  test('programs get a 401 as before, and log in with each request', async () => {
    await fixture.withBoard({ credentials: CREDENTIALS }, async ({ url }) => {
      for (const accept of ['*/*', 'application/json']) {
        const response = await request(`${url}/`, { headers: { accept } });
        await response.body.dump();
        assert.equal(response.statusCode, 401);
        assert.match(String(response.headers['www-authenticate']), /^Basic realm=/);
      }
      const cookies = new Set<string>();
      for (let n = 0; n < 3; n++) {
        const response = await request(`${url}/api/batches`, {
          headers: BASIC,
        });
        await response.body.dump();
        assert.equal(response.statusCode, 200);
        cookies.add(String(response.headers['set-cookie']));
      }
      assert.equal(cookies.size, 1, 'they share one session');
    });
  });

  test('the form of another site is refused, and no address leads to another site', async () => {
    await fixture.withBoard({ credentials: CREDENTIALS }, async (board) => {
      const { 'content-type': type } = FORM;
      const from = [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://elsewhere.example' }];
      for (const headers of from) {
        assert.equal(
          (await post(board, CREDENTIALS, { headers: { 'content-type': type, ...headers } })).status,
          403,
        );
      }
      assert.equal((await post(board, CREDENTIALS, { headers: { 'content-type': type } })).status, 415);
      for (const next of ['//evil.example', 'https://evil.example', '/\\evil.example', '', 'evil']) {
        const { status, location } = await post(board, { ...CREDENTIALS, next });
        assert.deepEqual([status, location], [303, '/'], next);
      }
      assert.equal(
        (await post(board, { ...CREDENTIALS, next: '/cost?since=1d' })).location,
        '/cost?since=1d',
      );
      assert.equal((await post(board, { user: 'anna', password: 'x'.repeat(20_000) })).status, 413);
    });
  });

  test('guesses in the form wait like guesses in a header', async () => {
    const waits: number[] = [];
    const held = Promise.withResolvers<void>();
    const throttle = new LoginThrottle({ now: () => 0, wait: (ms) => (waits.push(ms), held.promise) });
    await fixture.withBoard({ credentials: CREDENTIALS, throttle }, async (board) => {
      const guess = { user: 'anna', password: 'guess' };
      for (let n = 0; n < 5; n++) assert.equal((await post(board, guess)).status, 401);
      const waiting = [post(board, guess), post(board, CREDENTIALS)];
      await until(() => waits.length === 2);
      assert.equal((await post(board, guess)).status, 429);
      held.resolve();
      assert.deepEqual(
        (await Promise.all(waiting)).map(({ status }) => status),
        [401, 303],
      );
    });
  });
});

suite('sessions', () => {
  /** The request of a browser with that cookie. */
  const asks = (cookie: string, { alone = false } = {}): FastifyRequest =>
    ({
      url: '/',
      headers: { cookie, ...(alone ? { 'x-vidbatch-live': '1' } : {}) },
      socket: { localPort: 3000 },
    }) as unknown as FastifyRequest;

  function open() {
    let now = 0;
    const sessions = new Sessions({ proxies: new Proxies([]), publicPath: '', now: () => now });
    const start = (): string => {
      let cookie = '';
      const reply = { header: (_name: string, value: string) => (cookie = value.split(';')[0] ?? '') };
      sessions.start(asks(''), reply as unknown as FastifyReply);
      return cookie;
    };
    return { sessions, start, pass: (hours: number) => (now += hours * 3_600_000) };
  }

  test('end after twelve hours in which no person used them', () => {
    const { sessions, start, pass } = open();
    const [used, live] = [start(), start()];
    pass(11);
    assert.ok(sessions.has(asks(used)));
    assert.ok(sessions.has(asks(live, { alone: true })));
    pass(2);
    assert.ok(sessions.has(asks(used)));
    assert.ok(!sessions.has(asks(live)));
  });

  test('have secrets of their own, and are limited: the one that was used least recently ends', () => {
    const { sessions, start } = open();
    const first = start();
    const second = start();
    assert.notEqual(first, second);
    assert.ok(sessions.has(asks(first)));
    for (let n = 0; n < 999; n++) start();
    assert.ok(!sessions.has(asks(second)));
    assert.ok(sessions.has(asks(first)));
    assert.ok(!sessions.has(asks('vidbatch-3000=')));
    assert.ok(!sessions.has(asks(first.replace('3000', '3001'))));
  });
});
