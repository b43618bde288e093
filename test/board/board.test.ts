import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Job } from 'bullmq';
import type { Browser, Page } from 'playwright-core';
import type { ChunkData } from '../../src/worker/queue/chunk.ts';
import { queueName } from '../../src/worker/queue/name.ts';
import { openQueue } from '../../src/worker/queue/queue.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { servers } from '../servers.ts';
import { openBoardFixture, type BoardFixture } from './fixture.ts';

const { redisUrl } = await servers();
const HOSTILE = '<script>document.title = "owned"</script><img src=x onerror="document.title = 1">';

/** A page that remembers everything a page should not do. */
async function openWatchedPage(
  browser: Browser,
  fixture: BoardFixture,
): Promise<{ page: Page; misdeeds: string[] }> {
  const page = await openPage(browser, { viewport: { width: 1280, height: 800 } });
  await page.goto(fixture.board.entry);
  const misdeeds: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      misdeeds.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => misdeeds.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => {
    // The page itself drops a poll that is under way when its reader goes elsewhere.
    if (request.failure()?.errorText === 'net::ERR_ABORTED') return;
    misdeeds.push(`failed: ${request.url()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${fixture.board.url}/`) && !request.url().startsWith('data:')) {
      misdeeds.push(`foreign: ${request.url()}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400) misdeeds.push(`${response.status()}: ${response.url()}`);
  });
  return { page, misdeeds };
}

suite('the board in a browser, on Redis and an embedded ledger', () => {
  let browser: Browser;
  let fixture: BoardFixture;
  let page: Page;
  let misdeeds: string[];

  before(async () => {
    fixture = await openBoardFixture({ REDIS_URL: redisUrl });
    fixture.simulator.faults.add({ match: { prompt: 'refuse me' }, fault: 'policy' });
    await fixture.submit('mixed', {
      'row-1': 'a harbour before sunrise',
      'row-2': 'refuse me',
      'row-3': HOSTILE,
    });
    await fixture.send(3);
    await fixture.submit('later', { one: 'a tea hill', two: 'a night market' }, 'paused');
    browser = await openBrowser();
    ({ page, misdeeds } = await openWatchedPage(browser, fixture));
  });
  after(async () => {
    await browser.close();
    await forget(fixture);
    await fixture.close();
  });

  /** The job that sent this row. */
  async function jobOf(key: string): Promise<Job<ChunkData>> {
    const { store, ledgerId } = fixture.app;
    const queue = openQueue(store, queueName(ledgerId, null), { skipMetasUpdate: true });
    try {
      const jobs = await queue.getJobs(['completed', 'failed']);
      const job = jobs.find(({ data }) => data.took?.some((row) => row.key === key));
      assert.ok(job);
      return job;
    } finally {
      await queue.close();
    }
  }

  test('the batches, with their counts and what keeps them waiting', async () => {
    await page.goto(`${fixture.board.url}/`);
    const cards = page.locator('section.card');
    assert.equal(await cards.count(), 2);
    assert.match(await cards.nth(0).innerText(), /later[^]*waiting 2[^]*Waiting, paused/);
    assert.match(await cards.nth(1).innerText(), /mixed[^]*(sent|rendering|completed) [12][^]*rejected 1/);
    // The bar is drawn, and in colours: the style sheet has passed the page's own policy.
    const fill = await page.evaluate<string>(`getComputedStyle(document.querySelector('.bar rect')).fill`);
    assert.notEqual(fill, 'rgb(0, 0, 0)');
    assert.deepEqual(misdeeds, []);
  });

  test('a batch, its rows, and those of one state', async () => {
    await page.goto(`${fixture.board.url}/`);
    await page.getByRole('link', { name: 'mixed' }).click();
    assert.equal(await page.locator('.rows tbody tr').count(), 3);
    await page.getByRole('link', { name: 'rejected 1' }).click();
    const row = await page.locator('.rows tbody tr').innerText();
    assert.match(row, /row-2[^]*HTTP 400 fail_to_fetch_task\/TaskPromptPolicyViolation/);
    assert.deepEqual(misdeeds, []);
  });

  test('a prompt that is a script is shown, and does not run', async () => {
    await page.goto(`${fixture.board.url}/batches/mixed`);
    assert.ok((await page.locator('.rows tbody').innerText()).includes(HOSTILE));
    assert.equal(await page.title(), 'mixed · vidbatch');
    const job = await jobOf('row-3');
    await page.goto(`${fixture.board.url}/queues/queue/${job.queueName}/${job.id}?status=completed`);
    await page.getByText('Data', { exact: true }).click();
    await page.getByText('row-3: <script>document.title').waitFor();
    assert.equal(await page.title(), 'vidbatch');
    assert.deepEqual(misdeeds, []);
  });

  test('what failed, what it cost, who works: each has a page, and the box finds a row', async () => {
    await page.goto(`${fixture.board.url}/`);
    await page.getByRole('link', { name: 'Failures' }).click();
    assert.match(
      await page.locator('tbody').innerText(),
      /mixed[^]*1 rejected[^]*TaskPromptPolicyViolation[^]*row-2[^]*vidbatch retry mixed --state rejected/,
    );
    await page.getByRole('link', { name: 'Cost' }).click();
    assert.match(await page.locator('tbody').innerText(), /mixed[^]*the price is not known/);
    await page.getByRole('link', { name: 'Workers' }).click();
    await page.getByRole('heading', { name: 'Workers' }).waitFor();
    await page.getByRole('searchbox').fill('NIGHT market');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'two' }).click();
    await page.getByText('a night market').first().waitFor();
    await page.goto(`${fixture.board.url}/find?q=${encodeURIComponent(HOSTILE)}`);
    assert.ok((await page.locator('tbody').innerText()).includes(HOSTILE));
    assert.equal(await page.title(), 'Find · vidbatch');
    const refused = await page.request.get(`${fixture.board.url}/find?q=state:nowhere`);
    assert.equal(refused.status(), 400);
    assert.deepEqual(misdeeds, []);
  });

  test('on a telephone nothing is cut off', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const path of ['/', '/batches/mixed', '/failures', '/cost', '/workers', '/find?q=row']) {
      await page.goto(`${fixture.board.url}${path}`);
      const width = await page.evaluate<number>('document.documentElement.scrollWidth');
      assert.ok(width <= 360, `${path} is ${width} wide`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  test('the page is dark in dark mode', async () => {
    const ground = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor');
    await page.goto(`${fixture.board.url}/`);
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await ground(), light);
    await page.emulateMedia({ colorScheme: 'light' });
  });

  test('Bull Board shows the queue, and a job with its rows and their results, and contacts no other host', async () => {
    await page.goto(`${fixture.board.url}/`);
    await page.getByRole('link', { name: 'Queue internals' }).click();
    await page.getByText('all batches').first().click();
    await page.getByRole('heading', { name: 'mixed' }).first().waitFor();
    const refused = await jobOf('row-2');
    await page.goto(`${fixture.board.url}/queues/queue/${refused.queueName}/${refused.id}?status=failed`);
    const why = /row-2: rejected \(fail_to_fetch_task\/TaskPromptPolicyViolation\)/;
    await page.getByText(why).waitFor();
    assert.equal(await page.getByText(/worker\.ts/).count(), 0, 'no line of the source');
    await page.getByText('Logs', { exact: true }).click();
    await page
      .getByText(/row-2: rejected/)
      .first()
      .waitFor();
    const first = await jobOf('row-1');
    await page.goto(`${fixture.board.url}/queues/queue/${first.queueName}/${first.id}?status=completed`);
    await page.getByText('row-1: a harbour before sunrise').waitFor();
    await page.getByText('Logs', { exact: true }).click();
    await page.getByText(`row-1: accepted as task ${fixture.simulator.record[0]?.taskId}`).waitFor();
    const link = page.getByRole('link', { name: 'batch in the ledger' });
    await page.goto(`${fixture.board.url}${await link.getAttribute('href')}`);
    assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'mixed');
    assert.deepEqual(misdeeds, []);
  });

  test('in a browser that asks for Chinese, the pages and Bull Board are Chinese, and a link makes them English', async () => {
    const context = await browser.newContext({ locale: 'zh-CN', timezoneId: 'Asia/Shanghai' });
    const chinese = await context.newPage();
    try {
      await chinese.goto(fixture.board.entry);
      assert.equal(await chinese.locator('html').getAttribute('lang'), 'zh-CN');
      assert.equal(await chinese.getByRole('heading', { level: 1 }).innerText(), '批次');
      await chinese.goto(`${fixture.board.url}/queues`);
      await chinese.getByText('队列').first().waitFor();
      await chinese.goto(`${fixture.board.url}/failures`);
      const title = await chinese.locator('time').first().getAttribute('title');
      assert.match(title ?? '', /GMT\+8/, 'a time has the zone of the browser, too');
      await chinese.goto(`${fixture.board.url}/workers`);
      await chinese.getByRole('link', { name: 'English' }).click();
      assert.equal(await chinese.getByRole('heading', { level: 1 }).innerText(), 'Workers');
      assert.equal(new URL(chinese.url()).pathname, '/workers', 'the same page');
    } finally {
      await context.close();
    }
  });

  test('a read-only board has no buttons that write, and refuses such requests', async () => {
    await fixture.withBoard({ readOnly: true }, async (board) => {
      const queue = `vidbatch-${fixture.app.ledgerId}`;
      await page.goto(board.entry);
      await page.goto(`${board.url}/queues/queue/${queue}?status=completed`);
      await page.getByRole('heading', { name: 'mixed' }).first().waitFor();
      await assertNoWriting(page);
      const status = await page.evaluate(
        async (path) => (await fetch(path, { method: 'PUT' })).status,
        `/queues/api/queues/${queue}/${(await jobOf('row-1')).id}/retry`,
      );
      assert.equal(status, 405);
    });
  });
});

/** Bull Board names its buttons by their label or by the words on them. */
async function assertNoWriting(page: Page): Promise<void> {
  const names = await page
    .locator('button, [role=button], [role=menuitem], ul[class^=jobActions]')
    .evaluateAll((all) =>
      all.map((one) =>
        `${one.getAttribute('aria-label') ?? ''} ${one.tagName === 'UL' ? 'edit' : one.textContent}`.trim(),
      ),
    );
  const writing = names.filter((name) =>
    /retry|promote|clean|remove|delete|duplicate|pause|resume|empty|obliterate|add job|update|edit/i.test(
      name,
    ),
  );
  assert.deepEqual(writing, []);
}

/** The Redis is everybody's: what was put there is taken away. */
async function forget({ app }: BoardFixture): Promise<void> {
  if (app.store.kind !== 'redis') return;
  const keys = await app.store.redis.keys(`bull:vidbatch-${app.ledgerId}*`);
  if (keys.length > 0) await app.store.redis.del(...keys);
}
