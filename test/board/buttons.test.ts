import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import { startBoard } from '../../src/board/server.ts';
import { countStates, findBatch } from '../../src/ledger/batches.ts';
import { ensureProvider } from '../../src/ledger/send/provider.ts';
import { summarise } from '../../src/operate/summary.ts';
import { fill } from '../../src/worker/feeder.ts';
import type { ChunkData } from '../../src/worker/queue/chunk.ts';
import { queueName } from '../../src/worker/queue/name.ts';
import { openQueue } from '../../src/worker/queue/queue.ts';
import type { Sending } from '../../src/worker/sending.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { createDatabase, servers, type OwnDatabase } from '../servers.ts';
import { until } from '../until.ts';
import { CREDENTIALS, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

const KEYS = ['row-1', 'row-2', 'row-3', 'row-4'];

/** What another tool may have put into the queue: none of it names a batch. */
const POISON: unknown[] = [
  null,
  [],
  {},
  { batch: '1' },
  { batch: -1 },
  { batch: 1, rows: 1.5 },
  { batch: 2 ** 60 },
  { batch: 999_999 },
];
/** Postgres takes no such text. */
const HALF_A_CHARACTER = { batch: '1', took: 'half of a character: \ud83d' };

const shared = await servers();

const STORAGES: Record<string, (own: OwnDatabase) => NodeJS.ProcessEnv> = {
  'redis+postgres': ({ url }) => ({ REDIS_URL: shared.redisUrl, DATABASE_URL: url }),
  postgres: ({ url }) => ({ DATABASE_URL: url }),
};
/** A press takes a second of processor time: on Postgres, too, with `npm run soak:buttons`. */
const CHOSEN = process.env['VIDBATCH_BUTTON_STORAGES']?.split(',') ?? ['redis+postgres'];

for (const [kind, envOf] of Object.entries(STORAGES).filter(([name]) => CHOSEN.includes(name))) {
  suite(`every button of Bull Board, pressed while a worker works, on ${kind}`, () => {
    let database: OwnDatabase;
    let fixture: BoardFixture;
    let browser: Browser;
    let page: Page;
    let sending: Sending | undefined;
    let queue: ReturnType<typeof openQueue>;
    let name: string;
    /** What was sent, and its answer: a code of ours, or the status. */
    const pressed = new Map<string, string | number>();

    before(async () => {
      database = await createDatabase(shared);
      fixture = await openBoardFixture(envOf(database));
      const { app, simulator } = fixture;
      name = queueName(app.ledgerId, null);
      queue = openQueue(app.store, name);
      simulator.faults.add({ match: { prompt: 'row-2' }, fault: 'policy' });
      await fixture.submit('shots', Object.fromEntries(KEYS.map((key) => [key, `prompt of ${key}`])));
      await ensureProvider(app.db, simulator.url);
      // No worker yet: the batch's first row waits in the queue.
      const pace = { size: () => 10, ahead: () => 10 };
      await fill({ db: app.db, queue, scope: { origin: simulator.url, batches: null }, pace });
      browser = await openBrowser();
      page = await openPage(browser, { viewport: { width: 1280, height: 720 }, reducedMotion: 'reduce' });
      await page.goto(fixture.board.entry);
    });
    after(async () => {
      await sending?.close();
      await browser.close();
      await queue.obliterate({ force: true });
      await queue.close();
      await fixture.close();
      await database.drop();
    });

    const open = (status: string): Promise<unknown> =>
      page.goto(`${fixture.board.url}/queues/queue/${name}?status=${status}`);
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
      const route = path.replace(name, ':queue').replace(/\/(b\d+-\d+-)?[0-9a-f]+\//, '/:job/');
      const { code } = JSON.parse((await response.text()) || '{}') as { code?: string };
      pressed.set(`${response.request().method()} ${route}`, code ?? response.status());
      if (code !== undefined) await page.getByText('Nothing was done').waitFor();
    }

    /**
     * Each button of a job on this tab, of the first one that is there by then; then those for all of its jobs.
     * `prepare`: what happens before each press.
     */
    async function pressTab(
      status: string,
      forAll: readonly string[],
      prepare: () => Promise<unknown> = async () => undefined,
    ): Promise<void> {
      await prepare();
      await show(status);
      const buttons = await jobs().first().locator('button').count();
      for (let n = 0; n < buttons; n++) {
        await prepare();
        // A page of its own for each: one that has just closed a form takes the next one's opening for that.
        if (n > 0) await show(status);
        await press(jobs().first().locator('button').nth(n));
      }
      for (const button of forAll) {
        await prepare();
        await show(status);
        await press(page.getByRole('button', { name: button }));
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

    const counts = async (named: string) => {
      const batch = await findBatch(fixture.app.db, named);
      return countStates(fixture.app.db, batch?.id ?? 0);
    };

    test('on a waiting job: it is not copied, edited or removed', async () => {
      await pressTab('waiting', []);
      assert.deepEqual(answers(), {
        'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
        'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
        'PUT /:queue/:job/clean': 'ROWS_STAY',
      });
      const [waiting] = await queue.getWaiting();
      await waiting?.changePriority({ priority: 7 });
      await pressTab('prioritized', []);
      assert.deepEqual(answers(), {
        'PATCH /:queue/:job/priority': 200,
        'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
        'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
        'PUT /:queue/:job/clean': 'ROWS_STAY',
      });
    });

    test('on a delayed job: a promoted job sends no row that must wait', async () => {
      const { db } = fixture.app;
      const batch = await findBatch(db, 'shots');
      assert.ok(batch);
      await db.query(`update vidbatch.row_state set not_before = now() + interval '1 hour'`);
      sending = await fixture.work();
      // The feeder makes none: rows wait in the ledger.
      const makeDelayed = (): Promise<unknown> =>
        queue.add('shots', { batch: batch.id, rows: 4 }, { delay: 3_600_000 });
      await pressTab('delayed', ['Promote all', 'Clean all'], makeDelayed);
      assert.deepEqual(answers(), {
        'PUT /:queue/:job/promote': 204,
        'PATCH /:queue/:job/delay': 200,
        'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
        'PATCH /:queue/:job/update-data': 'JOBS_FOLLOW_THE_LEDGER',
        'PUT /:queue/:job/clean': 'ROWS_STAY',
        'PUT /:queue/promote': 200,
        'PUT /:queue/clean/delayed': 'ROWS_STAY',
      });
      await until(async () => (await queue.getJobCountByTypes('active', 'waiting')) === 0);
      const promoted = await queue.getCompleted();
      assert.deepEqual(new Set(promoted.map((job) => job.returnvalue['no more rows'])), new Set(['not-due']));
      assert.equal(fixture.simulator.record.length, 0, 'no button opens a gate of the ledger');
      await db.query('update vidbatch.row_state set not_before = now()');
      await until(async () => (await counts('shots')).submitted === 3);
    });

    test('on a completed job: repeated, it sends nothing', async () => {
      await until(async () => (await counts('shots')).rejected === 1);
      await pressTab('completed', ['Retry all', 'Clean all']);
      assert.deepEqual(answers(), {
        'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
        'PUT /:queue/:job/retry': 204,
        'PUT /:queue/:job/clean': 204,
        'PUT /:queue/retry/completed': 200,
        'PUT /:queue/clean/completed': 200,
      });
      assert.equal(fixture.simulator.record.length, 3);
    });

    test('on a job that failed for one of its rows: it says why, and repeated it sends nothing and stays failed', async () => {
      await show('failed');
      const [job, ...others] = await queue.getFailed();
      assert.equal(others.length, 0);
      assert.match(
        job?.failedReason ?? '',
        /^(1 of \d rows needs a look; )?row-2: rejected \(.*TaskPromptPolicyViolation\): /,
      );
      await press(jobs().first().locator('button').first());
      assert.deepEqual(answers(), { 'PUT /:queue/:job/retry': 204 });
      await until(
        // While it runs again, it has no reason.
        async () => String((await queue.getJob(job?.id ?? ''))?.failedReason).startsWith('repeated, '),
      );
      const [again] = await queue.getFailed();
      assert.match(
        again?.failedReason ?? '',
        /sends no row again: .*; `vidbatch retry shots` sends rows again/,
      );
      assert.deepEqual(again?.data.took, job?.data.took);
      await again?.remove();
      assert.equal(fixture.simulator.record.length, 3);
    });

    test('on a failed job: a job that names no batch fails again, and no other job does', async () => {
      const poison = fixture.app.store.kind === 'redis' ? [...POISON, HALF_A_CHARACTER] : POISON;
      await queue.addBulk(
        poison.map((data) => ({ name: 'by hand', data: data as ChunkData, opts: { attempts: 9 } })),
      );
      await until(async () => (await queue.getJobCountByTypes('failed')) === poison.length);
      for (const job of await queue.getFailed()) assert.match(job.failedReason, /names no batch/);
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

    test('of one queue and of all queues: a pause is stored in the ledger, with the person and the time', async () => {
      const ofQueue = async (button: string): Promise<void> => {
        await open('latest');
        await page.locator('[class^=trailing] button').last().click();
        await press(page.getByRole('menuitem', { name: button, exact: true }));
      };
      for (const button of ['Add job', 'Set concurrency', 'Set rate limit', 'Empty', 'Obliterate', 'Pause']) {
        await ofQueue(button);
      }
      assert.deepEqual(answers(), {
        'POST /:queue/add': 'JOBS_FOLLOW_THE_LEDGER',
        'PUT /:queue/concurrency': 'SET_BY_WORKERS',
        'PUT /:queue/rate-limit': 'SET_BY_WORKERS',
        'PUT /:queue/empty': 'ROWS_STAY',
        'PUT /:queue/obliterate': 'ROWS_STAY',
        'PUT /:queue/pause': 200,
      });
      const { db } = fixture.app;
      await fixture.submit('held', { a: 'held back' });
      const batch = await findBatch(db, 'held');
      assert.ok(batch);
      const [gate] = (await summarise(db, batch)).gates;
      assert.match(
        gate?.reason ?? '',
        /everything is paused; `vidbatch resume` continues \(the board, .*Z\)/,
      );
      assert.equal(await queue.isPaused(), false, 'the queue itself runs');
      await ofQueue('Resume');
      await queue.add('by hand', {} as ChunkData);
      await until(async () => (await queue.getJobCountByTypes('failed')) > 0);
      for (const button of [/^Pause all$/, /^Resume all$/, /^Retry \d+ failed/]) {
        await page.goto(`${fixture.board.url}/queues`);
        await page.locator('[class^=headerControls] button').last().click();
        await press(page.getByRole('menuitem', { name: button }));
      }
      assert.deepEqual(answers(), {
        'PUT /:queue/resume': 200,
        'PUT /pause': 200,
        'PUT /resume': 200,
        'PUT /:queue/retry/failed': 200,
      });
      await until(async () => (await counts('held')).submitted === 1);
    });

    test('no page of another origin can use a button, although the browser has signed in', async () => {
      const { app, simulator } = fixture;
      const board = await startBoard({
        app,
        host: '127.0.0.1',
        port: 0,
        log: silent,
        credentials: CREDENTIALS,
      });
      const elsewhere = createServer((_request, response) =>
        response.setHeader('content-type', 'text/html').end('<!doctype html><title>elsewhere</title>'),
      );
      await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
      const context = await browser.newContext();
      try {
        const known = await context.newPage();
        await known.goto(board.url);
        await known.getByLabel('User').fill(CREDENTIALS.user);
        await known.getByLabel('Password').fill(CREDENTIALS.password);
        await known.getByRole('button', { name: 'Sign in' }).click();
        await known.getByRole('button', { name: 'Sign out' }).waitFor();
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
          `${board.url}/queues/api/queues/${name}/add`,
        );
        assert.deepEqual(seen, ['kept back', 'kept back']);
        await known.setContent(
          `<form method="post" action="${board.url}/queues/api/queues/${name}/add"><button>`,
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

    test('and at last each row was paid once, and has ended', async () => {
      const prompts = fixture.simulator.record.map(({ body }) => body.prompt).toSorted();
      assert.deepEqual(prompts, ['held back', 'prompt of row-1', 'prompt of row-3', 'prompt of row-4']);
      const { submitted, rejected, ...others } = await counts('shots');
      assert.deepEqual([submitted, rejected], [3, 1]);
      assert.deepEqual(new Set(Object.values(others)), new Set([0]));
    });
  });
}
