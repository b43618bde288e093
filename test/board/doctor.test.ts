import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { sharedCheckup } from '../../src/board/doctor/checkup.ts';
import { startBoard, type Board } from '../../src/board/server.ts';
import { readWhatCanBe } from '../../src/core/config.ts';
import { failed, ok, skipped, warning, type Check } from '../../src/operate/doctor/check.ts';
import { thisMachine } from '../../src/operate/doctor/configuration.ts';
import { runChecks } from '../../src/operate/doctor/doctor.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { startServer } from '../servers.ts';
import { until } from '../until.ts';
import { assertAccessible, assertFits } from './checks.ts';
import { EMBEDDED, get, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

/** The checks of the fixture's own environment, as a board runs them. */
function checksOf({ config }: BoardFixture, more: Record<string, string> = {}): () => AsyncIterable<Check> {
  const env = {
    VIDBATCH_DATA_DIR: config.dataDir,
    VIDBATCH_BASE_URL: config.baseUrl,
    REDIS_URL: config.redisUrl,
    DATABASE_URL: config.databaseUrl,
    ...more,
  };
  return () => runChecks({ ...readWhatCanBe(env), sends: false }, thisMachine());
}

suite('the page of checks', () => {
  let redis: Awaited<ReturnType<typeof startServer>>;
  let fixture: BoardFixture;
  let board: Board;
  let browser: Browser;
  let page: Page;
  /** How often the checks ran. */
  let runs = 0;

  before(async () => {
    redis = await startServer('redis', { settings: { 'maxmemory-policy': 'allkeys-lru' } });
    fixture = await openBoardFixture({ REDIS_URL: redis.url });
    const checks = checksOf(fixture);
    const check = (): AsyncIterable<Check> => {
      runs += 1;
      return checks();
    };
    board = await startBoard({
      app: fixture.app,
      host: '127.0.0.1',
      port: 0,
      log: silent,
      check,
      readOnly: true,
    });
    browser = await openBrowser();
    page = await openPage(browser, { viewport: { width: 1280, height: 800 }, bypassCSP: true });
    await page.goto(board.entry);
  });
  after(async () => {
    await browser.close();
    await board.close();
    await fixture.close();
    await redis.stop();
  });

  test('says first whether the queue may be restarted, and checks only when a person asks, also on a read-only board', async () => {
    await page.getByRole('contentinfo').getByRole('link', { name: 'Checks' }).click();
    const main = page.getByRole('main');
    assert.match(await main.innerText(), /May the queue be restarted now\?\s+Yes, at any time/);
    assert.equal(runs, 0);
    await page.getByRole('button', { name: 'Run the checks' }).click();
    await page.getByText('Checked 20').waitFor();
    assert.equal(runs, 1);
    const text = await main.innerText();
    assert.match(text, /What it keeps over a restart: no persistence, which is not needed/);
    assert.match(
      text,
      /Failed: \d\n[^]*redis-eviction[^]*Set maxmemory-policy noeviction\.[^]*All right: \d+/,
    );
    assert.match(text, /Not checked[^]*configuration-api-key not set here: only workers need it/);
    await page.getByRole('button', { name: 'Run the checks again' }).click();
    await page.getByText('Checked 20').waitFor();
    assert.equal(runs, 1, 'soon after a run, its results are shown');
  });

  test('is clean for axe, fits a telephone, and speaks Chinese', async () => {
    for (const path of ['/doctor', '/doctor?run=1']) {
      await page.goto(`${board.url}${path}`);
      await assertAccessible(page);
      await page.setViewportSize({ width: 390, height: 844 });
      await assertFits(page);
      await page.setViewportSize({ width: 1280, height: 800 });
    }
    const chinese = await openPage(browser, { locale: 'zh-CN' });
    await chinese.goto(board.entry);
    await chinese.goto(`${board.url}/doctor?run=1`);
    assert.match(
      await chinese.locator('main').innerText(),
      /现在可以重启队列吗？\s+可以，随时都行[^]*失败：\d[^]*请设置 maxmemory-policy/,
    );
    await chinese.close();
  });

  test('is there while the queue is away, and shows no password and no key', async () => {
    const url = new URL(redis.url);
    url.password = 'hunter2';
    const check = checksOf(fixture, { REDIS_URL: url.href, VIDBATCH_API_KEY: 'sk-secret' });
    const own = await startBoard({ app: fixture.app, host: '127.0.0.1', port: 0, log: silent, check });
    await redis.stop();
    try {
      // A page does not wait long for the news.
      await until(async () => (await get(own, '/doctor')).text.includes('the queue does not answer'));
      const { status, text } = await get(own, '/doctor?run=1');
      assert.equal(status, 200);
      assert.match(text, /the queue does not answer[^]*<a href="\/doctor">Checks/);
      assert.match(text, /Failed: \d[^]*<code>redis<\/code>/);
      assert.match(text, /it accepts the key/);
      const { text: json } = await get(own, '/api/doctor');
      assert.ok((JSON.parse(json) as { checks: Check[] }).checks.some(({ status: one }) => one === 'failed'));
      assert.doesNotMatch(text + json, /hunter2|sk-secret/);
    } finally {
      await own.close();
    }
  });
});

test('a ledger in a folder is checked by the process that holds it', async () => {
  const fixture = await openBoardFixture(EMBEDDED);
  const { app } = fixture;
  const board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, check: checksOf(fixture) });
  try {
    const { text } = await get(board, '/doctor?run=1');
    assert.match(text, /There is no server to restart/);
    assert.match(text, /<code>ledger<\/code> at version \d/);
    assert.match(text, /held by process \d+ since|no other process holds the folder/);
    assert.doesNotMatch(
      text,
      /rejected"><\/span><code>(?!data-folder-disk)/,
      'nothing fails but the disk of the tests',
    );
    await fixture.submit('after', { a: 'a harbour' });
    assert.match((await get(fixture.board, '/')).text, /after/, 'the ledger is open as before');
    assert.doesNotMatch(
      (await get(fixture.board, '/doctor')).text,
      /Run the checks/,
      'no configuration, no checks',
    );
  } finally {
    await board.close();
    await fixture.close();
  }
});

test('requests share one run of the checks, and one that fails is not kept', async () => {
  let now = 0;
  let runs = 0;
  const checkup = sharedCheckup(
    async function* () {
      runs += 1;
      if (runs === 3) throw new Error('broken');
      yield* [
        ok('a', 'fine'),
        warning('b', 'slow', 'Wait.'),
        failed('c', 'gone', 'Look.'),
        skipped('d', 'unknown'),
      ];
    },
    { keptMs: 10, now: () => now },
  );
  const [first, second] = await Promise.all([checkup(), checkup()]);
  assert.equal(first, second);
  assert.equal(first.checks.length, 4);
  now = 9;
  assert.equal(await checkup(), first);
  now = 10;
  assert.notEqual(await checkup(), first);
  now = 20;
  await assert.rejects(checkup(), /broken/);
  await checkup();
  assert.equal(runs, 4);
});
