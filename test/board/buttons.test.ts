import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import { startBoard } from '../../src/board/server.ts';
import { fill } from '../../src/worker/feeder.ts';
import { countStates, findBatch } from '../../src/ledger/batch.ts';
import { ensureProvider } from '../../src/ledger/send/provider.ts';
import { summarise } from '../../src/operate/overview.ts';
import { laneOf, openQueue } from '../../src/worker/queue/queue.ts';
import type { JobData } from '../../src/worker/queue/queue.ts';
import type { Sending } from '../../src/worker/sending.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { until } from '../until.ts';
import { createDatabase, servers } from '../servers.ts';
import type { OwnDatabase } from '../servers.ts';
import { openTheatre, silent } from './fixture.ts';
import type { Theatre } from './fixture.ts';

const KEYS = ['row-1', 'row-2', 'row-3', 'row-4'];

/** What another tool may have put into the queue: none of it names a row. */
const POISON: unknown[] = [
  null,
  [],
  {},
  { submission: '1', preview: 'half of a character: \ud83d' },
  { submission: -1 },
  { submission: 1.5 },
  { submission: 2 ** 60 },
  { submission: 999_999 },
];

suite('every button of Bull Board, pressed while a worker works', () => {
  let database: OwnDatabase;
  let theatre: Theatre;
  let browser: Browser;
  let page: Page;
  let sending: Sending | undefined;
  let queue: ReturnType<typeof openQueue>;
  let lane: string;
  /** What was sent, and its answer: a code of ours, or the status. */
  const pressed = new Map<string, string | number>();

  before(async () => {
    const shared = await servers();
    database = await createDatabase(shared);
    theatre = await openTheatre({ REDIS_URL: shared.redisUrl, DATABASE_URL: database.url });
    const { app, simulator } = theatre;
    lane = laneOf(app.ledgerId, null);
    queue = openQueue(app.store, lane);
    simulator.faults.add({ match: { prompt: 'row-2' }, fault: 'policy' });
    await theatre.submit('shots', Object.fromEntries(KEYS.map((key) => [key, `prompt of ${key}`])));
    await ensureProvider(app.db, simulator.url);
    // No worker yet: the batch's first row waits in the queue.
    await fill({ db: app.db, queue, scope: { lane, origin: simulator.url, batches: null }, depth: 10 });
    browser = await openBrowser();
    page = await openPage(browser, { viewport: { width: 1280, height: 720 }, reducedMotion: 'reduce' });
    await page.goto(theatre.board.entry);
  });
  after(async () => {
    await sending?.close();
    await browser.close();
    await queue.obliterate({ force: true });
    await queue.close();
    await theatre.close();
    await database.drop();
  });

  const open = (status: string): Promise<unknown> =>
    page.goto(`${theatre.board.url}/queues/queue/${lane}?status=${status}`);
  const jobs = (): Locator => page.locator('ul[class^=jobActions]');

  /** Clicks, fills in what is asked, confirms, and notes what was answered. */
  async function press(button: Locator): Promise<void> {
    const sent = page.waitForResponse((one) => one.request().method() !== 'GET');
    await button.click();
    const dialog = page.locator('[role=dialog], [role=alertdialog]').last();
    const agree = dialog.getByRole('button', { name: /^(Confirm|Add|Duplicate|Update|Save)$/ });
    const word = (await agree.textContent()) ?? '';
    // The editor of a job's data comes a moment after its form.
    if (/Add|Duplicate|Update/.test(word)) {
      await dialog.locator('input[name=jobData]').waitFor({ state: 'attached' });
    }
    for (const number of await dialog.locator('input[type=number]').all()) await number.fill('3');
    const time = dialog.locator('input[type=datetime-local]');
    if ((await time.count()) > 0) await time.fill('2100-01-01T00:00:00');
    await agree.click();
    const response = await sent;
    const path = new URL(response.url()).pathname.replace('/queues/api/queues', '');
    const route = path.replace(lane, ':queue').replace(/\/s?\d+(-\d+)?\//, '/:job/');
    const { code } = JSON.parse((await response.text()) || '{}') as { code?: string };
    pressed.set(`${response.request().method()} ${route}`, code ?? response.status());
    if (code !== undefined) await page.getByText('Nothing was done').waitFor();
  }

  /** Each button of a job on this tab, of the first one that is there by then; then those for all of its jobs. */
  async function pressTab(status: string, forAll: readonly string[]): Promise<void> {
    await show(status);
    const buttons = await jobs().first().locator('button').count();
    for (let n = 0; n < buttons; n++) {
      // A page of its own for each: one that has just closed a form takes the next one's opening for that.
      await show(status);
      await press(jobs().first().locator('button').nth(n));
    }
    for (const name of forAll) {
      await show(status);
      await press(page.getByRole('button', { name }));
    }
  }

  async function show(status: string): Promise<void> {
    await until(async () => (await queue.getJobCountByTypes(status as 'waiting')) > 0);
    await open(status);
    await jobs().first().waitFor();
  }

  /** What the last presses were answered. */
  function answers(): Record<string, string | number> {
    const all = Object.fromEntries(pressed);
    pressed.clear();
    return all;
  }

  const counts = async (name: string) => {
    const batch = await findBatch(theatre.app.db, name);
    return countStates(theatre.app.db, batch?.id ?? 0);
  };

  test('on a waiting job: it is neither copied, edited nor taken away', async () => {
    await pressTab('waiting', []);
    assert.deepEqual(answers(), {
      'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
      'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
      'PUT /:queue/:job/clean': 'ROW_STAYS',
    });
    await (await queue.getJob('s1-1'))?.changePriority({ priority: 7 });
    await pressTab('prioritized', []);
    assert.deepEqual(answers(), {
      'PATCH /:queue/:job/priority': 200,
      'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
      'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
      'PUT /:queue/:job/clean': 'ROW_STAYS',
    });
  });

  test('on a job that waits for its time: a promoted one is put off again, a rescheduled one comes in time', async () => {
    const { db } = theatre.app;
    // A job waits in the queue for a minute at most. So the rows are put off again and again, however long all presses take.
    const putOff = () =>
      db.query(`update vidbatch.submission set not_before = now() + interval '50 seconds'`);
    await putOff();
    const putting = setInterval(() => void putOff(), 10_000);
    try {
      sending = await theatre.work();
      await pressTab('delayed', ['Promote all', 'Clean all']);
    } finally {
      clearInterval(putting);
    }
    assert.deepEqual(answers(), {
      'PUT /:queue/:job/promote': 204,
      'PATCH /:queue/:job/delay': 200,
      'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
      'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
      'PUT /:queue/:job/clean': 'ROW_STAYS',
      'PUT /:queue/promote': 200,
      'PUT /:queue/clean/delayed': 'ROW_STAYS',
    });
    assert.equal(theatre.simulator.record.length, 0, 'no button opens a gate of the ledger');
    await (await queue.getJob('s1-1'))?.changeDelay(1e9).catch(() => undefined);
    await db.query('update vidbatch.submission set not_before = now()');
    await until(async () => (await counts('shots')).submitted === 3);
  });

  test('on a completed job: repeated, it sends nothing, and says how its row stands', async () => {
    await until(async () => (await queue.getJobCountByTypes('completed')) === KEYS.length);
    await pressTab('completed', ['Retry all', 'Clean all']);
    assert.deepEqual(answers(), {
      'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
      'PUT /:queue/:job/retry': 204,
      'PUT /:queue/:job/clean': 204,
      'PUT /:queue/retry/completed': 200,
      'PUT /:queue/clean/completed': 200,
    });
    assert.equal(theatre.simulator.record.length, 3);
  });

  test('on a failed job: what names no row fails again, alone', async () => {
    await queue.addBulk(
      POISON.map((data) => ({ name: 'by hand', data: data as JobData, opts: { attempts: 9 } })),
    );
    await until(async () => (await queue.getJobCountByTypes('failed')) === POISON.length);
    for (const job of await queue.getFailed()) assert.match(job.failedReason, /names no row/);
    await pressTab('failed', ['Retry all', 'Clean all']);
    assert.deepEqual(answers(), {
      'PUT /:queue/:job/retry': 204,
      'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
      'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
      'PUT /:queue/:job/clean': 204,
      'PUT /:queue/retry/failed': 200,
      'PUT /:queue/clean/failed': 200,
    });
  });

  test('of the queue, and of all queues: a pause is the ledger’s, with who and when', async () => {
    const ofQueue = async (name: string): Promise<void> => {
      await open('latest');
      await page.locator('[class^=trailing] button').last().click();
      await press(page.getByRole('menuitem', { name, exact: true }));
    };
    for (const name of ['Add job', 'Set concurrency', 'Set rate limit', 'Empty', 'Obliterate', 'Pause']) {
      await ofQueue(name);
    }
    assert.deepEqual(answers(), {
      'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
      'PUT /:queue/concurrency': 'SET_BY_WORKERS',
      'PUT /:queue/rate-limit': 'SET_BY_WORKERS',
      'PUT /:queue/empty': 'ROW_STAYS',
      'PUT /:queue/obliterate': 'ROW_STAYS',
      'PUT /:queue/pause': 200,
    });
    const { db } = theatre.app;
    await theatre.submit('held', { a: 'held back' });
    const batch = await findBatch(db, 'held');
    assert.ok(batch);
    const [gate] = (await summarise(db, batch)).gates;
    assert.match(gate?.reason ?? '', /everything is paused; `vidbatch resume` goes on \(the board, .*Z\)/);
    assert.equal(await queue.isPaused(), false, 'the queue itself runs');
    await ofQueue('Resume');
    await queue.add('by hand', {} as JobData);
    await until(async () => (await queue.getJobCountByTypes('failed')) > 0);
    for (const name of [/^Pause all$/, /^Resume all$/, /^Retry \d+ failed/]) {
      await page.goto(`${theatre.board.url}/queues`);
      await page.locator('[class^=headerControls] button').last().click();
      await press(page.getByRole('menuitem', { name }));
    }
    assert.deepEqual(answers(), {
      'PUT /:queue/resume': 200,
      'PUT /pause': 200,
      'PUT /resume': 200,
      'PUT /:queue/retry/failed': 200,
    });
    await until(async () => (await counts('held')).submitted === 1);
  });

  test('no page of another origin presses any of them, though the browser knows the password', async () => {
    const { app, simulator } = theatre;
    const credentials = { user: 'anna', password: 'correct horse' };
    const board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, credentials });
    const elsewhere = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>elsewhere</title>'),
    );
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const context = await browser.newContext({
      httpCredentials: { username: credentials.user, password: credentials.password },
    });
    try {
      const known = await context.newPage();
      await known.goto(board.url);
      assert.equal(await known.title(), 'Batches · vidbatch');
      await known.goto(`http://localhost:${(elsewhere.address() as AddressInfo).port}/`);
      const seen = await known.evaluate(
        (url) =>
          Promise.all(
            ['POST', 'GET'].map((method) =>
              fetch(url, { method, mode: 'no-cors', credentials: 'include' }).then(
                () => 'answered',
                () => 'kept back',
              ),
            ),
          ),
        `${board.url}/queues/api/queues/${lane}/add`,
      );
      assert.deepEqual(seen, ['kept back', 'kept back']);
      await known.setContent(
        `<form method="post" action="${board.url}/queues/api/queues/${lane}/add"><button>`,
      );
      await known.getByRole('button').click();
      await known.getByText('CROSS_SITE').waitFor();
    } finally {
      await context.close();
      elsewhere.close();
      await board.close();
    }
    assert.equal(simulator.record.length, 4);
  });

  test('and in the end each row was paid once, and has ended', async () => {
    const prompts = theatre.simulator.record.map(({ body }) => body.prompt).toSorted();
    assert.deepEqual(prompts, ['held back', 'prompt of row-1', 'prompt of row-3', 'prompt of row-4']);
    const { submitted, rejected, ...others } = await counts('shots');
    assert.deepEqual([submitted, rejected], [3, 1]);
    assert.deepEqual(new Set(Object.values(others)), new Set([0]));
  });
});
