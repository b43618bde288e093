import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { parsePublicPath, withoutPublicPath } from '../../src/board/access/public-path.ts';
import { startBoard, type Board } from '../../src/board/server.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { openBoardFixture, silent, type BoardFixture } from './fixture.ts';

const PREFIX = '/tools/vidbatch';

/** Serves the board under the prefix, and nothing beside it. `strips`: the board sees paths without the prefix. */
async function startProxy(board: Board, strips: boolean): Promise<{ url: string; close(): Promise<void> }> {
  const { hostname, port } = new URL(board.url);
  const server = createServer((incoming, outgoing) => {
    const { url = '', method, headers } = incoming;
    if (!url.startsWith(`${PREFIX}/`)) {
      outgoing.writeHead(404).end('not this server');
      return;
    }
    const path = strips ? url.slice(PREFIX.length) : url;
    const further = request({ hostname, port, path, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    further.on('error', () => outgoing.destroy());
    outgoing.on('close', () => further.destroy());
    incoming.pipe(further);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PREFIX}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Every address of this page that a browser may ask for, and those to which forms are posted. */
function addressesOf(page: string): { asked: string[]; posted: string[] } {
  const asked: string[] = [];
  const posted: string[] = [];
  for (const [tag, name] of page.matchAll(/<(a|link|script|img|form)\b[^>]*>/g)) {
    const [, found] = /\s(?:href|src|action)="([^"]*)"/.exec(tag) ?? [];
    // A form needs an address: without one, the browser takes that of the page.
    if (found === undefined && name !== 'form') continue;
    const address = (found ?? '').replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'");
    if (tag.includes('method="post"')) posted.push(address);
    // A fragment stays on its page. The link to a video that is still at the provider is the provider's own address.
    else if (!/^(?:#|data:|https?:)/.test(address)) asked.push(address);
  }
  return { asked, posted };
}

for (const strips of [true, false]) {
  suite(`behind a proxy that ${strips ? 'takes the public path away' : 'keeps the public path'}`, () => {
    let fixture: BoardFixture;
    let browser: Browser;
    let board: Board;
    let proxy: Awaited<ReturnType<typeof startProxy>>;

    before(async () => {
      fixture = await openBoardFixture();
      fixture.simulator.faults.add({ match: { prompt: 'refuse me' }, fault: 'policy' });
      fixture.simulator.faults.add({ match: { prompt: 'lose me' }, fault: 'status-502:created' });
      await fixture.submit('mixed 1', { a: 'a harbour', b: 'refuse me', c: 'lose me' });
      await fixture.send(3);
      await fixture.submit('later', { one: 'a tea hill' }, 'paused');
      const { app } = fixture;
      board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, publicPath: `${PREFIX}/` });
      proxy = await startProxy(board, strips);
      browser = await openBrowser();
    });
    after(async () => {
      await browser.close();
      await proxy.close();
      await board.close();
      await fixture.close();
    });

    test('every address on every page leads to an answer', async () => {
      const page = await openPage(browser);
      await page.goto(`${proxy.url}/?token=${board.token}`);
      assert.equal(page.url(), `${proxy.url}/`);
      const origin = new URL(proxy.url).origin;
      const seen = new Set([`${PREFIX}/`]);
      for (const address of seen) {
        const answer = await page.request.get(`${origin}${address}`);
        assert.equal(answer.status(), 200, address);
        const isPage = (answer.headers()['content-type'] ?? '').startsWith('text/html');
        if (!isPage || address.startsWith(`${PREFIX}/queues`) || address.includes('/language?')) continue;
        const { asked, posted } = addressesOf(await answer.text());
        for (const one of [...asked, ...posted]) {
          assert.ok(one.startsWith(`${PREFIX}/`), `${one} on ${address}`);
        }
        for (const one of asked) seen.add(one);
      }
      for (const path of ['/batches/mixed%201', '/rows/1', '/queues', '/live.js', '/style.css']) {
        assert.ok(seen.has(`${PREFIX}${path}`), `${path} of ${[...seen].join(' ')}`);
      }
      await page.close();
    });

    test('a person signs in and out', async () => {
      const page = await openPage(browser);
      await page.goto(`${proxy.url}/cost?since=1d`);
      assert.equal(page.url(), `${proxy.url}/sign-in?next=%2Fcost%3Fsince%3D1d`);
      await page.getByLabel('Token').fill(board.token ?? '');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Cost' }).waitFor();
      assert.equal(page.url(), `${proxy.url}/cost?since=1d`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Token').waitFor();
      assert.equal(page.url(), `${proxy.url}/sign-in`);
      await page.close();
    });

    test('a page is live, a search leads to its row, and the queues show jobs', async () => {
      const page = await openPage(browser);
      await page.goto(`${proxy.url}/?token=${board.token}`);
      await page.getByRole('button', { name: 'Live · Pause' }).waitFor();
      await fixture.submit(`new ${strips}`, { one: 'a lighthouse' }, 'paused');
      await page
        .getByRole('link', { name: `new ${strips}` })
        .first()
        .waitFor();
      await page.goto(`${proxy.url}/batches/later?key=one`);
      assert.match(page.url(), new RegExp(`^${proxy.url}/rows/\\d+$`));
      await page.goto(`${proxy.url}/queues`);
      await page.getByText('all batches').first().click();
      await page.getByRole('heading', { name: 'mixed 1' }).first().waitFor();
      await page.close();
    });
  });
}

suite('the public path', () => {
  test('is taken away only where it is a whole part of the path', () => {
    const under = (url: string): string => withoutPublicPath(url, '/vidbatch');
    assert.deepEqual(
      ['/vidbatch', '/vidbatch/', '/vidbatch?page=2', '/vidbatch/rows/1', '/vidbatches', '/rows/1'].map(
        under,
      ),
      ['/', '/', '/?page=2', '/rows/1', '/vidbatches', '/rows/1'],
    );
    assert.equal(withoutPublicPath('/rows/1', ''), '/rows/1');
  });

  test('is a path of plain characters', () => {
    assert.deepEqual(['/a/b-1', '/a/', '/', '', undefined].map(parsePublicPath), [
      '/a/b-1',
      '/a',
      '',
      '',
      '',
    ]);
    for (const wrong of ['a', '//a', '/a//b', '/a?b', '/../a', '/ä', '/"']) {
      assert.throws(() => parsePublicPath(wrong), { code: 'BAD_PUBLIC_PATH', exitCode: 2 });
    }
  });
});
