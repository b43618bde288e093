import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { ChangeWatch } from '../../src/board/change-watch.ts';
import { startBoard, type Board } from '../../src/board/server.ts';
import { cancel } from '../../src/ledger/operator/pause.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { until } from '../until.ts';
import { bearing, EMBEDDED, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

suite('a page that shows changes by itself', () => {
  let browser: Browser;
  let fixture: BoardFixture;
  let batches = 0;
  before(async () => {
    fixture = await openBoardFixture(EMBEDDED);
    browser = await openBrowser();
  });
  after(async () => {
    await browser.close();
    await fixture.close();
  });

  /** A page of a batch that waits. A page that is loaded again loses its mark. */
  async function openBatch(): Promise<{ page: Page; change: () => Promise<void> }> {
    const name = `slow-${(batches += 1)}`;
    const id = await fixture.submit(name, { one: 'a tea hill', two: 'a lighthouse' }, 'paused');
    const page = await openPage(browser, { viewport: { width: 800, height: 400 } });
    await page.goto(fixture.board.entry);
    await page.goto(`${fixture.board.url}/batches/${name}`);
    await page.getByRole('button', { name: 'Live · Pause' }).waitFor();
    await page.evaluate('window.mark = 1');
    return { page, change: async () => void (await cancel(fixture.app.db, id)) };
  }

  /** Waits until the browser heard of a change, and asks the server something afterwards. */
  async function hearOfChange(page: Page): Promise<void> {
    await page.evaluate(
      `new Promise((resolve) => {
        const events = new EventSource('/events');
        events.addEventListener('message', () => { events.close(); resolve(); });
      }).then(() => fetch('/style.css'))`,
    );
  }

  const changed = /cancelled 2/;
  const shown = (page: Page): Promise<string> => page.locator('main').innerText();

  async function untilChanged(page: Page): Promise<void> {
    await page.locator('main').getByText(changed).first().waitFor();
    assert.equal(await page.evaluate('window.mark'), 1, 'the page was not loaded again');
  }

  test('changes in place: focus and scroll position stay', async () => {
    const { page, change } = await openBatch();
    await page.getByRole('link', { name: 'two' }).focus();
    await page.evaluate('scrollTo(0, 120)');
    await change();
    await untilChanged(page);
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'two');
    assert.equal(await page.evaluate('scrollY'), 120);
    await page.close();
  });

  const BUSY: Record<string, { begin: string; end: string }> = {
    'a person types': {
      begin: `document.querySelector('main input').focus()`,
      end: `document.querySelector('main input').blur()`,
    },
    'a field holds what a person typed': {
      begin: `document.querySelector('main input').value = 'sku-123'`,
      end: `document.querySelector('main input').value = ''; getSelection().removeAllRanges(); document.dispatchEvent(new Event('change'))`,
    },
    'text is selected': {
      begin: `getSelection().selectAllChildren(document.querySelector('h1'))`,
      end: `getSelection().removeAllRanges()`,
    },
    'a part is unfolded': {
      begin: `document.querySelector('main').insertAdjacentHTML('beforeend', '<details open>more</details>')`,
      end: `document.querySelector('main details').open = false`,
    },
    'a dialog is open': {
      begin: `document.querySelector('main').insertAdjacentHTML('beforeend', '<dialog>sure?</dialog>'); document.querySelector('dialog').show()`,
      end: `document.querySelector('dialog').close()`,
    },
  };
  for (const [why, { begin, end }] of Object.entries(BUSY)) {
    test(`does not change while ${why}, and does afterwards`, async () => {
      const { page, change } = await openBatch();
      await page.evaluate(begin);
      await change();
      await hearOfChange(page);
      assert.doesNotMatch(await shown(page), changed);
      await page.evaluate(end);
      await untilChanged(page);
      await page.close();
    });
  }

  test('can be paused by keyboard, stays paused for its tab, and resumes', async () => {
    const { page, change } = await openBatch();
    await page.getByRole('button', { name: 'Live · Pause' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Paused · Resume' }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Paused · Resume' }).waitFor();
    await page.evaluate('window.mark = 1');
    await change();
    await hearOfChange(page);
    assert.doesNotMatch(await shown(page), changed);
    await page.getByRole('button', { name: 'Paused · Resume' }).click();
    await page.getByRole('button', { name: 'Live · Pause' }).waitFor();
    await untilChanged(page);
    await page.close();
  });

  test('says since when the connection is lost, and connects again by itself', async () => {
    const line = await openLine(fixture.board);
    const page = await openPage(browser);
    try {
      const connected = page.waitForResponse((response) => response.url().endsWith('/events'));
      await page.goto(`http://127.0.0.1:${line.port}/?token=${fixture.board.token}`);
      await page.evaluate('window.mark = 1');
      await connected;
      line.cut();
      await page.getByText(/^Not live since \d\d:\d\d:\d\d; trying again$/).waitFor();
      line.mend();
      await page.getByText(/^Not live since/).waitFor({ state: 'hidden' });
      await fixture.submit('after the loss', { one: 'a harbour' }, 'paused');
      await page.getByRole('link', { name: 'after the loss' }).waitFor();
      assert.equal(await page.evaluate('window.mark'), 1);
    } finally {
      await page.close();
      await line.close();
    }
  });

  test('a hidden tab keeps no connection', async () => {
    const { page } = await openBatch();
    const ended = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/events'));
    await page.evaluate(
      `Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange'))`,
    );
    await ended;
    await page.close();
  });
});

/** A connection to the board that a test can cut and mend. */
async function openLine({
  url,
}: Board): Promise<{ port: number; cut(): void; mend(): void; close(): Promise<void> }> {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((socket) => {
    const further = connect(Number(new URL(url).port), '127.0.0.1');
    for (const one of [socket, further]) {
      open.add(one);
      one.on('error', () => undefined).on('close', () => open.delete(one));
    }
    if (isCut) cutAll();
    else socket.pipe(further).pipe(socket);
  });
  const cutAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      cutAll();
    },
    mend() {
      isCut = false;
    },
    async close() {
      server.close();
      cutAll();
      await once(server, 'close');
    },
  };
}

interface Stream {
  status: number;
  /** Waits for the next event. */
  event(): Promise<void>;
  close(): Promise<void>;
}

async function listen(
  board: Pick<Board, 'url' | 'token'>,
  headers: Record<string, string> = {},
): Promise<Stream> {
  const response = await fetch(`${board.url}/events`, { headers: { ...bearing(board), ...headers } });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader);
  return {
    status: response.status,
    async event() {
      for (;;) {
        const { value, done } = await reader.read();
        assert.ok(!done, 'the events ended');
        if (value.includes('data:')) return;
      }
    },
    close: () => reader.cancel(),
  };
}

suite('many open pages', () => {
  test('cost the ledger as much as one', async () => {
    const fixture = await openBoardFixture(EMBEDDED);
    const { app } = fixture;
    const asked: string[] = [];
    const db: typeof app.db = Object.create(app.db, {
      query: {
        value: (...args: Parameters<typeof app.db.query>) => {
          asked.push(args[0]);
          return app.db.query(...args);
        },
      },
    });
    const board = await startBoard({ app: { ...app, db }, host: '127.0.0.1', port: 0, log: silent });
    try {
      await fixture.submit('moving', { one: 'a tea hill' }, 'paused');
      const streams = await Promise.all(Array.from({ length: 50 }, () => listen(board)));
      /** The queries for pages after one change, and those that look for changes. */
      const look = async (pages: number): Promise<{ reads: number; looks: number }> => {
        await Promise.all(streams.map((stream) => stream.event()));
        asked.length = 0;
        await Promise.all(
          Array.from({ length: pages }, async () => {
            const headers = { ...bearing(board), 'x-vidbatch-live': '1' };
            const response = await fetch(`${board.url}/batches/moving`, { headers });
            assert.match(await response.text(), /a tea hill/);
          }),
        );
        const looks = asked.filter(
          (text) => text === 'select 1' || text.includes('pg_current_snapshot'),
        ).length;
        return { reads: asked.length - looks, looks };
      };
      const one = await look(1);
      const fifty = await look(50);
      assert.ok(one.reads > 0);
      assert.ok(fifty.reads <= one.reads, `${fifty.reads} queries for fifty pages, ${one.reads} for one`);
      await Promise.all(streams.map((stream) => stream.close()));
    } finally {
      await board.close();
      await fixture.close();
    }
  });

  test('look for changes once for all of them, and not at all when the last one is closed', async () => {
    let looks = 0;
    const turns: PromiseWithResolvers<string>[] = [];
    const watch = new ChangeWatch(() => {
      looks += 1;
      const turn = Promise.withResolvers<string>();
      turns.push(turn);
      return turn.promise;
    });
    const heard: number[] = [];
    const stops = Array.from({ length: 50 }, () => watch.listen((version) => heard.push(version)));
    await until(() => looks === 1);
    turns[0]?.resolve('a');
    await until(() => looks === 2);
    assert.deepEqual(heard, [], 'nothing has changed yet');
    turns[1]?.resolve('b');
    await until(() => heard.length === 50);
    assert.deepEqual(new Set(heard), new Set([1]));
    await until(() => looks === 3);
    for (const stop of stops) stop();
    turns[2]?.reject(new Error('the ledger is away'));
    await turns[2]?.promise.catch(() => undefined);
    assert.equal(looks, 3);
    assert.equal(heard.length, 50);
  });

  test('of one browser are at most four at a time, so that it can load pages; the board ends them when it stops', async () => {
    const fixture = await openBoardFixture(EMBEDDED);
    const { board } = fixture;
    try {
      const login = await fetch(board.entry, { redirect: 'manual' });
      const cookie = (login.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
      const from = { url: board.url, token: undefined };
      const streams = await Promise.all(Array.from({ length: 4 }, () => listen(from, { cookie })));
      assert.deepEqual(new Set(streams.map(({ status }) => status)), new Set([200]));
      const fifth = async (): Promise<number> => {
        const stream = await listen(from, { cookie });
        await stream.close();
        return stream.status;
      };
      assert.equal(await fifth(), 429);
      await streams.pop()?.close();
      await until(async () => (await fifth()) === 200);
      assert.equal((await listen({ url: board.url, token: undefined })).status, 401);
      const ended = Promise.all(streams.map((stream) => assert.rejects(stream.event())));
      await board.close();
      await ended;
    } finally {
      await fixture.close();
    }
  });
});
