import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { startSchedules } from '../../src/schedule/schedule.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { createDatabase, servers, startServer } from '../servers.ts';
import { addNightly, openBoardFixture, silent, vidbatch, type BoardFixture } from './fixture.ts';

suite('what stops the work is told by a page that is open', () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  /** Opens a page, and waits until it hears of changes. */
  async function openLive({ board }: BoardFixture, path = '/'): Promise<Page> {
    const page = await openPage(browser);
    await page.goto(board.entry);
    const live = page.waitForResponse((response) => response.url().endsWith('/events'));
    await page.goto(`${board.url}${path}`);
    await live;
    await page.evaluate('window.mark = 1');
    return page;
  }

  async function tells(page: Page, text: string | RegExp): Promise<void> {
    await page.locator('main').getByText(text).first().waitFor();
    assert.equal(await page.evaluate('window.mark'), 1, 'the page was not loaded again');
  }

  test('a worker that was killed', async () => {
    const shared = await servers();
    const database = await createDatabase(shared);
    const storage = { DATABASE_URL: database.url, REDIS_URL: shared.redisUrl };
    const fixture = await openBoardFixture(storage);
    const provider = { VIDBATCH_BASE_URL: fixture.simulator.url, VIDBATCH_API_KEY: 'sk-of-the-tests' };
    const worker = vidbatch(fixture, { ...storage, ...provider }, 'work');
    try {
      await fixture.submit('waiting', { one: 'a tea hill' }, 'paused');
      const [home, workers] = [await openLive(fixture), await openLive(fixture, '/workers')];
      await tells(workers, 'working');
      const ended = once(worker, 'close');
      worker.kill('SIGKILL');
      await ended;
      await Promise.all([
        tells(home, /the worker on .* with pid \d+ has given no sign of life for \d+s/),
        tells(workers, /silent, last seen \d+s ago/),
      ]);
    } finally {
      worker.kill('SIGKILL');
      await fixture.close();
      await database.drop();
    }
  });

  test('Redis that has stopped', async () => {
    const redis = await startServer('redis');
    const fixture = await openBoardFixture({ REDIS_URL: redis.url });
    try {
      const page = await openLive(fixture);
      await redis.stop();
      await tells(page, /the queue does not answer/);
    } finally {
      await fixture.close();
    }
  });

  test('a provider that refuses everything', async () => {
    const fixture = await openBoardFixture();
    try {
      const [page, cost] = [await openLive(fixture), await openLive(fixture, '/cost')];
      const count = cost.getByRole('banner').getByRole('link', { name: 'Attention: 1' });
      assert.equal(await count.count(), 0);
      fixture.simulator.faults.add({ match: {}, fault: 'unauthorized' });
      await fixture.submit('halted', { one: 'a tea hill', two: 'a lighthouse' });
      const sending = await fixture.work();
      await tells(page, /nothing has been sent to .* invalid_api_key: Invalid token; 2 rows wait/);
      await count.click();
      assert.equal(new URL(cost.url()).pathname, '/');
      await sending.close();
    } finally {
      await fixture.close();
    }
  });

  test('a schedule whose run has failed', async () => {
    const fixture = await openBoardFixture();
    const { app, config } = fixture;
    try {
      await fixture.submit('other', { one: 'a tea hill' }, 'paused');
      const manifest = join(config.dataDir, 'nightly.csv');
      await writeFile(manifest, 'model,prompt\nno-such-model,a tea hill\n');
      await addNightly(fixture, {
        cron: '* * * * *',
        manifest,
        nextAt: new Date(Math.floor(Date.now() / 60_000) * 60_000),
      });
      const page = await openLive(fixture);
      const schedules = startSchedules(app, { config, log: silent });
      await tells(page, /the last run of schedule nightly failed \d+s ago/);
      await schedules.stop();
    } finally {
      await fixture.close();
    }
  });
});
