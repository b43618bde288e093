import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { request } from 'undici';
import { parseBudget } from '../../src/batch/budget.ts';
import type { Board } from '../../src/board/server.ts';
import { transaction } from '../../src/database/database.ts';
import { closeLedger } from '../../src/ledger/closed.ts';
import { countStates, findBatch } from '../../src/ledger/batches.ts';
import { listSchedules } from '../../src/ledger/schedules/schedules.ts';
import { pauseBy, resumeBy } from '../../src/ledger/operator/pause.ts';
import {
  pauseScheduleBy,
  removeScheduleBy,
  requireSchedule,
  resumeScheduleBy,
} from '../../src/schedule/operator.ts';
import { readShutGates } from '../../src/ledger/send/blocked.ts';
import { changeBudget } from '../../src/operate/budget.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { assertAccessible, assertFits } from './checks.ts';
import { addNightly, BASIC, bearing, CREDENTIALS, openBoardFixture, type BoardFixture } from './fixture.ts';

const SLOW = 'viduq3p-1080p';
const ACTS = {
  pause: 'batch=shots',
  resume: 'batch=shots',
  cancel: 'batch=shots',
  retry: 'batch=shots',
  'retry-failed-tasks': 'batch=shots',
  priority: 'batch=shots',
  budget: 'batch=shots',
  'schedule-pause': 'schedule=nightly',
  'schedule-resume': 'schedule=nightly',
  'schedule-trigger': 'schedule=nightly',
} as const;

suite('acts of the console', () => {
  let browser: Browser;
  let fixture: BoardFixture;
  let page: Page;
  let id: number;

  before(async () => {
    fixture = await openBoardFixture();
    browser = await openBrowser();
    page = await openPage(browser, { viewport: { width: 1280, height: 800 } });
    await page.goto(fixture.board.entry);
  });
  after(async () => {
    await browser.close();
    await fixture.close();
  });

  /** A batch of three rows that wait, of two models, at 0.30 CNY each; and a schedule. */
  beforeEach(async () => {
    const { db } = fixture.app;
    await db.query('truncate vidbatch.batch, vidbatch.schedule cascade');
    await db.query(`update vidbatch.meta set paused_at = null, paused_models = '{}'`);
    id = await fixture.submit('shots', { a: 'a harbour', b: 'a tea hill', c: 'a market' });
    await db.query(`update vidbatch.row_state set price = 0.3, currency = 'CNY'`);
    await db.query(
      'update vidbatch.row_state set model = $1 where id = (select id from vidbatch.row where row_key = $2)',
      [SLOW, 'c'],
    );
    await addNightly(fixture);
  });

  const url = (path: string): string => `${fixture.board.url}${path}`;
  const text = (): Promise<string> => page.locator('main').innerText();
  const press = (name: string): Promise<void> => page.getByRole('button', { name }).click();
  const follow = (name: string): Promise<void> =>
    page.getByRole('navigation', { name: 'Actions' }).getByRole('link', { name, exact: true }).click();
  const notice = (): Promise<string> => page.getByRole('status').first().innerText();
  const counts = (): ReturnType<typeof countStates> => countStates(fixture.app.db, id);

  async function events(): Promise<string[]> {
    const { rows } = await fixture.app.db.query<{ told: string }>(
      `select concat_ws(' | ', event, who, detail) as told from vidbatch.event_log
        where event <> 'submit' order by id`,
    );
    return rows.map(({ told }) => told);
  }

  /** Rows end in these states, by their keys, as if a worker had sent them. */
  async function end(states: Record<string, string>): Promise<void> {
    const { db } = fixture.app;
    for (const [key, state] of Object.entries(states)) {
      for (const next of ['submitting', state]) {
        await db.query(
          `update vidbatch.row_state set previous = state, state = $2, attempts = 1, deadline = now(),
                  attempt_id = coalesce(attempt_id, gen_random_uuid()), error_code = $3,
                  task_id = case when $2 = 'submitted' then 'task_' || $1 end
            where id = (select id from vidbatch.row where row_key = $1)`,
          [key, next, state === 'rejected' ? 'policy' : null],
        );
      }
    }
  }

  /** The task of this row failed at the provider. */
  async function failTask(key: string, taskId = `task_${key}`): Promise<void> {
    await end({ [key]: 'submitted' });
    const { db } = fixture.app;
    await db.query(
      `update vidbatch.row_state set task_id = $2, provider_status = 'failed', error = 'InternalServiceFailure' where task_id = $1`,
      [`task_${key}`, taskId],
    );
    await db.query(
      `insert into vidbatch.task (submission_id, task_id, batch_id, model, origin, surplus, accepted_at, status, fail_reason, finished_at)
       select s.id, s.task_id, s.batch_id, s.model, $2, false, now(), 'failed', s.error, now() from vidbatch.row_state s where task_id = $1`,
      [taskId, fixture.simulator.url],
    );
  }

  test('pause: the page says how many rows and how much money, and then it is done', async () => {
    await page.goto(url('/batches/shots'));
    await follow('Pause');
    assert.match(await text(), /waiting: not sent yet\s+3\s+at most 0\.90 CNY/);
    await page.getByLabel('Why (optional)').fill('faces are blurred');
    await press('Pause');
    assert.equal(new URL(page.url()).pathname, '/batches/shots');
    assert.equal(await notice(), 'shots: paused; rows in flight finish');
    assert.match(await text(), /the batch is paused; .* \(the board, [^)]+: faces are blurred\)/);
    assert.deepEqual(await readShutGates(fixture.app.db, id), ['paused']);

    await follow('Resume');
    assert.match(await text(), /What waits may then be sent: 3 rows, for at most 0\.90 CNY/);
    await press('Resume');
    assert.equal(await notice(), 'shots: resumed');
    assert.deepEqual(await readShutGates(fixture.app.db, id), []);
    assert.deepEqual(await events(), [
      'pause | the board | shots: faces are blurred',
      'resume | the board | shots',
    ]);
  });

  test('everything is paused and resumed on the first page', async () => {
    await page.goto(url('/'));
    await follow('Pause everything');
    await press('Pause');
    assert.equal(new URL(page.url()).pathname, '/');
    assert.deepEqual(await readShutGates(fixture.app.db, id), ['all-paused']);
    await follow('Resume everything');
    await press('Resume');
    assert.equal(await notice(), 'everything: resumed');
    assert.deepEqual(await readShutGates(fixture.app.db, id), []);
  });

  test('a model is paused in one batch, and resumed beside its reason', async () => {
    await page.goto(url('/act/pause?batch=shots'));
    await page.getByRole('link', { name: SLOW }).click();
    assert.match(await text(), /Pause model viduq3p-1080p in batch shots/);
    assert.match(await text(), /waiting: not sent yet\s+1\s+at most 0\.30 CNY/);
    await press('Pause');
    assert.deepEqual(await readShutGates(fixture.app.db, id), ['model-paused']);
    await follow(`Resume ${SLOW}`);
    await press('Resume');
    assert.equal(await notice(), `shots: model ${SLOW}: resumed`);
    assert.deepEqual(await readShutGates(fixture.app.db, id), []);
    assert.deepEqual(await events(), [
      `pause-model | the board | ${SLOW}`,
      `resume-model | the board | ${SLOW}`,
    ]);
  });

  test('cancel and retry: the money that is not spent, and the money that sending costs', async () => {
    await end({ a: 'rejected' });
    await page.goto(url('/batches/shots'));
    await follow('Cancel');
    assert.match(await text(), /What waits is cancelled: 2 rows, and at most 0\.60 CNY is not spent/);
    await press('Cancel 2 rows');
    assert.equal(await notice(), 'shots: 2 rows cancelled; rows in flight finish');
    assert.equal((await counts()).cancelled, 2);

    await follow('Retry');
    assert.match(
      await text(),
      /Rows that were never paid are sent again: 3 rows\. Sending costs at most 0\.90 CNY/,
    );
    await page.getByRole('link', { name: 'rejected: policy' }).click();
    await press('Send 1 row again');
    assert.equal(await notice(), 'shots: 1 row pending again');
    const after = await counts();
    assert.deepEqual([after.pending, after.cancelled], [1, 2]);
    assert.deepEqual(await events(), [
      'cancel | the board | 2 rows',
      'retry | the board | 1 rows (rejected, policy)',
    ]);
  });

  test('a retry is not done if more rows fail between the page and the button', async () => {
    await end({ a: 'rejected' });
    await page.goto(url('/act/retry?batch=shots'));
    await end({ b: 'rejected' });
    await press('Send 1 row again');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: it has changed/);
    assert.equal((await counts()).rejected, 2);
    await press('Send 2 rows again');
    assert.equal((await counts()).rejected, 0);
  });

  test('a resume is not done if more rows wait, or the pause is another one, by the time of the button', async () => {
    const { db } = fixture.app;
    await pauseBy(db, 'Ann', [{ id, name: 'shots' }]);
    await page.goto(url('/act/resume?batch=shots'));
    assert.match(await text(), /3 rows, for at most 0\.90 CNY/);
    await fixture.submit('shots', { a: 'a harbour', b: 'a tea hill', c: 'a market', d: 'a lighthouse' });
    await press('Resume');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: it has changed/);
    assert.match(await text(), /4 rows/);

    await resumeBy(db, 'Ben', [{ id, name: 'shots' }]);
    await pauseBy(db, 'Ann', [{ id, name: 'shots' }], 'the prompts are wrong');
    await press('Resume');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: it has changed/);
    assert.equal((await findBatch(db, 'shots'))?.state, 'paused');
    await press('Resume');
    assert.equal(await notice(), 'shots: resumed');
  });

  test('a resume of everything is not done if a provider was halted or a person paused meanwhile', async () => {
    const { db } = fixture.app;
    await pauseBy(db, 'Ann', undefined);
    await page.goto(url('/act/resume'));
    await resumeBy(db, 'Ben', undefined);
    await pauseBy(db, 'Ann', undefined);
    await press('Resume');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: it has changed/);
    await press('Resume');
    assert.equal(await notice(), 'everything: resumed');
  });

  test('a halted provider is tried although rows of another provider move meanwhile', async () => {
    const { db } = fixture.app;
    await db.query(
      `with halted as (
         insert into vidbatch.provider (origin, state) values ('https://halted.example', 'halted') returning origin
       ) insert into vidbatch.halt (origin, code, reason) select origin, 'invalid_api_key', 'wrong key' from halted`,
    );
    try {
      await page.goto(url('/act/resume'));
      await end({ a: 'submitted' });
      await press('Resume');
      assert.equal(await notice(), 'there was no pause of all batches');
      const { rows } = await db.query(
        `select state from vidbatch.provider where origin = 'https://halted.example'`,
      );
      assert.deepEqual(rows, [{ state: 'probing' }]);
    } finally {
      await db.query(
        `with gone as (delete from vidbatch.halt) delete from vidbatch.provider where origin = 'https://halted.example'`,
      );
    }
  });

  test('a schedule is not resumed or run by a form for another pause, or for another schedule of its name', async () => {
    const { db } = fixture.app;
    const nightly = async () => requireSchedule(db, 'nightly');
    await pauseScheduleBy(db, 'Ann', await nightly());
    await page.goto(url('/act/schedule-resume?schedule=nightly'));
    await resumeScheduleBy(db, 'Ben', await nightly());
    await pauseScheduleBy(db, 'Ann', await nightly());
    await press('Resume');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: it has changed/);
    assert.ok((await nightly()).pausedAt);

    await page.goto(url('/act/schedule-trigger?schedule=nightly'));
    await removeScheduleBy(db, 'Ann', await nightly());
    await addNightly(fixture, { manifest: '/jobs/other.csv' });
    await press('Run it now');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: it has changed/);
    assert.match(await text(), /A worker reads \/jobs\/other\.csv/);
    assert.deepEqual((await db.query('select from vidbatch.run')).rows, []);
  });

  test('failed tasks are paid again only by a person who types the name of the batch', async () => {
    await failTask('b');
    await page.goto(url('/'));
    await page.getByRole('link', { name: 'Make failed tasks again' }).first().click();
    assert.match(
      await text(),
      /Failed at the provider: 1 task\. To make them again, you pay again: at most 0\.30 CNY/,
    );
    await page.getByLabel('Type shots to agree').fill('shot');
    await press('Pay again for 1 task');
    assert.match(await page.getByRole('alert').innerText(), /Nothing was done: type shots to agree/);
    assert.equal((await counts()).submitted, 1);
    await page.getByLabel('Type shots to agree').fill('shots');
    await press('Pay again for 1 task');
    assert.equal(await notice(), 'shots: 1 row pending again, and will be paid again');
    assert.equal((await counts()).pending, 3);
    assert.ok((await events()).includes('retry --failed-tasks | the board | 1 row'));
    await page.goto(url('/act/retry-failed-tasks?batch=shots'));
    assert.match(await text(), /there is nothing to make again/);
    assert.equal(await page.locator('main').getByRole('button').count(), 0, 'a second time pays for nothing');
  });

  test('the priority of a batch', async () => {
    await page.goto(url('/batches/shots'));
    await follow('Priority');
    await page.getByLabel('Priority, from -100 to 100').fill('50');
    await press('Change the priority');
    assert.equal(await notice(), 'shots: priority 0 → 50');
    assert.equal((await findBatch(fixture.app.db, 'shots'))?.priority, 50);
    assert.deepEqual(await events(), ['priority | the board | 0 → 50']);
  });

  /** Gives the batch a budget, as a person did before. */
  const limit = (text: string): Promise<void> =>
    changeBudget(fixture.app.db, 'anna', { id, name: 'shots' }, parseBudget('budget', text));

  test('a budget is raised where it stopped the batch, and a lower one stops it again', async () => {
    await limit('0.20CNY');
    await page.goto(url('/'));
    assert.match(await text(), /The budget of batch shots, 0\.20 CNY, is used up: 3 rows wait/);
    await page.getByRole('link', { name: 'Raise the budget' }).click();
    const told = await text();
    assert.match(told, /budget now\s+0\.20 CNY\s+spent: accepted rows\s+0\.00 CNY/);
    assert.match(told, /held: in flight or uncertain\s+0\.00 CNY\s+left\s+0\.20 CNY/);
    assert.match(told, /waiting: not sent yet\s+3\s+at most 0\.90 CNY/);
    assert.match(told, /A budget of 0\.90 CNY pays for all rows that wait/);
    await page.getByLabel('New budget').fill('0.50 cny');
    await press('Change the budget');
    assert.equal(new URL(page.url()).pathname, '/batches/shots');
    assert.deepEqual(await page.getByRole('status').allInnerTexts(), [
      'shots: budget 0.20 CNY → 0.50 CNY',
      'It does not pay for 2 rows.',
    ]);
    assert.deepEqual(await readShutGates(fixture.app.db, id), []);

    await end({ a: 'submitted' });
    await page.goto(url('/batches/shots'));
    await follow('Budget');
    assert.equal(await page.getByLabel('New budget').inputValue(), '0.50CNY');
    await page.getByLabel('New budget').fill('0.10CNY');
    await press('Change the budget');
    assert.deepEqual(await page.getByRole('status').allInnerTexts(), [
      'shots: budget 0.50 CNY → 0.10 CNY',
      'It pays for no waiting row: 2 rows wait.',
    ]);
    assert.deepEqual(await readShutGates(fixture.app.db, id), ['budget']);
    await follow('Raise the budget');
    assert.match(await text(), /spent: accepted rows\s+0\.30 CNY[^]*left\s+-0\.20 CNY/);
    assert.deepEqual(await events(), [
      'budget | anna | none → 0.20 CNY',
      'budget | the board | 0.20 CNY → 0.50 CNY',
      'budget | the board | 0.50 CNY → 0.10 CNY',
    ]);
  });

  test('a budget that is no amount, or in another currency than the prices, changes nothing', async () => {
    for (const [given, code] of [
      ['12', 'BAD_BUDGET'],
      ['-1CNY', 'BAD_BUDGET'],
      ['9USD', 'OTHER_CURRENCY'],
    ] as const) {
      await page.goto(url('/act/budget?batch=shots'));
      assert.match(await text(), /The batch has no budget/);
      await page.getByLabel('New budget').fill(given);
      await press('Change the budget');
      assert.match(await text(), new RegExp(`\\[${code}\\]`), given);
    }
    assert.deepEqual(await events(), []);
    await limit('1CNY');
    await page.goto(url('/act/budget?batch=shots'));
    await page.getByLabel('New budget').fill('none');
    await press('Change the budget');
    assert.equal(await notice(), 'shots: budget 1.00 CNY → none');
  });

  test('a schedule is run now, paused and resumed', async () => {
    const { db } = fixture.app;
    await page.goto(url('/schedules'));
    await follow('Run it now');
    assert.match(await text(), /A worker reads \/jobs\/nightly\.csv and sends all of its rows/);
    await press('Run it now');
    assert.match(await notice(), /^nightly@\S+ is due; a worker makes it$/);
    const { rows } = await db.query<{ state: string }>('select state from vidbatch.run');
    assert.deepEqual(rows, [{ state: 'due' }]);
    await page.goto(url('/act/schedule-trigger?schedule=nightly'));
    assert.match(await text(), /another run would be skipped/);
    await page.goto(url('/schedules'));
    await follow('Pause');
    await press('Pause');
    assert.equal(await notice(), 'schedule nightly: paused');
    assert.ok((await listSchedules(db))[0]?.pausedAt);
    await follow('Resume');
    await press('Resume');
    assert.equal((await listSchedules(db))[0]?.pausedAt, null);
    assert.deepEqual(
      (await events()).map((event) => event.replace(/@.*/, '')),
      [
        'schedule-trigger | the board | nightly',
        'schedule-pause | the board | nightly',
        'schedule-resume | the board | nightly',
      ],
    );
  });

  test('what the command line refuses, the console refuses', async () => {
    await fixture.app.db.query(`update vidbatch.batch set state = 'cancelled'`);
    const refused: [string, string][] = [
      ['/act/pause?batch=shots', 'CANCELLED'],
      ['/act/resume?batch=shots', 'CANCELLED'],
      ['/act/pause?batch=shot', 'NO_SUCH_BATCH'],
      ['/act/retry?batch=shots&state=submitted', 'BAD_STATE'],
      ['/act/schedule-pause?schedule=night', 'NO_SUCH_SCHEDULE'],
    ];
    for (const [path, code] of refused) {
      await page.goto(url(path));
      assert.match(await text(), new RegExp(`\\[${code}\\]`), path);
    }
  });

  test('the confirmation pages are clean for axe, fit a telephone, and speak Chinese', async () => {
    await failTask('b');
    await end({ a: 'rejected' });
    for (const [act, query] of Object.entries(ACTS)) {
      await page.goto(url(`/act/${act}?${query}`));
      await assertAccessible(page);
      await page.setViewportSize({ width: 390, height: 740 });
      await assertFits(page);
      await page.setViewportSize({ width: 1280, height: 800 });
    }
    const chinese = await openPage(browser, { locale: 'zh-CN' });
    await chinese.goto(fixture.board.entry);
    await chinese.goto(url('/act/cancel?batch=shots'));
    assert.match(await chinese.locator('main').innerText(), /取消：shots[^]*等待中的行将被取消：1 行/);
    await chinese.getByRole('button', { name: '取消 1 行' }).click();
    assert.equal(await chinese.getByRole('status').first().innerText(), 'shots：已取消 1 行；在途的行会完成');
    await chinese.close();
  });

  /** Posts to an act, as a program or as a page of some site would. */
  async function post(
    board: Pick<Board, 'url'>,
    act: string,
    body: string,
    headers: Record<string, string>,
  ): Promise<{ status: number; text: string; headers: Record<string, unknown> }> {
    const response = await request(`${board.url}/act/${act}`, { method: 'POST', headers, body });
    return { status: response.statusCode, text: await response.body.text(), headers: response.headers };
  }

  const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
  const JSON_BODY = { 'content-type': 'application/json' };

  test('a form is taken from the board’s own page with its token, and from nowhere else', async () => {
    const { board } = fixture;
    await page.goto(url('/act/cancel?batch=shots'));
    const token = (await page.locator('input[name=token]').getAttribute('value')) ?? '';
    const form = new URLSearchParams({ batch: 'shots', token }).toString();
    const own = { ...FORM, ...bearing(board), 'sec-fetch-site': 'same-origin' };
    const refused: [Record<string, string>, string, number, string][] = [
      [{ ...own, 'sec-fetch-site': 'cross-site' }, form, 403, 'CROSS_SITE'],
      [{ ...own, 'sec-fetch-site': 'same-site' }, form, 403, 'CROSS_SITE'],
      [{ ...FORM, ...bearing(board), origin: 'https://evil.example' }, form, 403, 'CROSS_SITE'],
      [{ ...FORM, ...bearing(board) }, form, 415, 'NOT_JSON'],
      [{ ...FORM, 'sec-fetch-site': 'same-origin' }, form, 401, 'NO_TOKEN'],
      [own, 'batch=shots', 400, 'FORM_EXPIRED'],
      [own, 'batch=shots&token=guess', 400, 'FORM_EXPIRED'],
    ];
    for (const [headers, body, status, code] of refused) {
      const answer = await post(board, 'cancel', body, headers);
      assert.equal(answer.status, status, code);
      assert.match(answer.text, new RegExp(code));
    }
    assert.equal((await counts()).pending, 3, 'nothing was cancelled');
    const done = await post(board, 'cancel', form, own);
    assert.equal(done.status, 303);
    assert.match(String(done.headers['location']), /^\/batches\/shots\?done=/);
    assert.equal((await counts()).cancelled, 3);
  });

  test('a program posts JSON, agrees as with --yes, and is named in the event log', async () => {
    const { app } = fixture;
    await fixture.withBoard({ credentials: CREDENTIALS }, async (board) => {
      const headers = { ...JSON_BODY, ...BASIC };
      const unasked = await post(board, 'cancel', '{"batch":"shots"}', headers);
      assert.equal(unasked.status, 400);
      assert.match(unasked.text, /"code":"NOT_CONFIRMED"/);
      const paid = await post(board, 'retry-failed-tasks', '{"batch":"shots","yes":true}', headers);
      assert.match(paid.text, /"code":"NOTHING_TO_DO"/);
      const typo = await post(board, 'pause', '{"batch":"shots","model":"viduq3p-108p"}', headers);
      assert.deepEqual([typo.status, /"code":"NO_SUCH_MODEL"/.test(typo.text)], [400, true]);
      const wrong = await post(board, 'priority', '{"batch":"shots","priority":101}', headers);
      assert.match(wrong.text, /"code":"BAD_NUMBER"/);
      for (const body of ['{"bacth":"shots"}', '{"batch":""}', '{"batch":["shots"]}', '"shots"', '[1]']) {
        assert.ok([400, 404].includes((await post(board, 'pause', body, headers)).status), body);
      }
      assert.deepEqual(await readShutGates(app.db, id), [], 'a mistake pauses nothing, and not everything');
      assert.equal((await post(board, 'pause', '{}', JSON_BODY)).status, 401);
      const done = await post(board, 'cancel', '{"batch":"shots","yes":true}', headers);
      assert.deepEqual(JSON.parse(done.text), {
        done: true,
        notice: ['shots: 3 rows cancelled; rows in flight finish'],
      });
      assert.deepEqual(await events(), ['cancel | anna (board) | 3 rows']);
    });
  });

  test('a program that names the batch anywhere but in a JSON object changes nothing', async () => {
    const { board, app } = fixture;
    await app.db.query('update vidbatch.meta set paused_at = now()');
    const headers = bearing(board);
    const asked: [string, string, Record<string, string>][] = [
      ['resume?batch=shots', '', headers],
      ['resume?batch=shots', '{}', { ...headers, ...JSON_BODY }],
      ['resume', '', headers],
      ['resume', '{"batch":"shots"}', headers],
      ['resume', '[]', { ...headers, ...JSON_BODY }],
      ['resume', 'null', { ...headers, ...JSON_BODY }],
      ['resume', '""', { ...headers, ...JSON_BODY }],
    ];
    for (const [act, body, with_] of asked) {
      const { status, text: answer } = await post(board, act, body, with_);
      assert.ok([400, 415].includes(status), `${act} ${body}: ${status} ${answer}`);
    }
    assert.deepEqual(await readShutGates(app.db, id), ['all-paused'], 'everything stays paused');
    assert.equal((await post(board, 'resume', '{}', { ...headers, ...JSON_BODY })).status, 200);
  });

  /** The form of the page that is open, as its button sends it. */
  async function hiddenFields(subject: string, typed: Record<string, string> = {}): Promise<string> {
    const form = new URLSearchParams(typed);
    for (const name of ['token', 'seen', subject])
      form.set(name, (await page.locator(`form.act input[name=${name}]`).getAttribute('value')) ?? '');
    return form.toString();
  }

  test('a form for failed tasks that is sent again later does not pay for tasks that failed since', async () => {
    const { board } = fixture;
    await failTask('b');
    await page.goto(url('/act/retry-failed-tasks?batch=shots'));
    const form = await hiddenFields('batch', { confirm: 'shots' });
    const own = { ...FORM, ...bearing(board), 'sec-fetch-site': 'same-origin' };
    assert.equal((await post(board, 'retry-failed-tasks', form, own)).status, 303);
    await failTask('b', 'second');
    const replayed = await post(board, 'retry-failed-tasks', form, own);
    assert.equal(replayed.status, 409);
    assert.match(replayed.text, /it has changed since you saw it/);
    assert.equal((await counts()).submitted, 1);
  });

  test('one page of a budget decides once, also if the budget is the same again later', async () => {
    const { board } = fixture;
    await limit('0.20CNY');
    await page.goto(url('/act/budget?batch=shots'));
    const form = await hiddenFields('batch', { budget: '5CNY' });
    const own = { ...FORM, ...bearing(board), 'sec-fetch-site': 'same-origin' };
    const answers = await Promise.all(Array.from({ length: 6 }, () => post(board, 'budget', form, own)));
    assert.equal(answers.filter(({ status }) => status === 303).length, 1);
    await limit('0.20CNY');
    const replayed = await post(board, 'budget', form, own);
    assert.equal(replayed.status, 409);
    assert.match(replayed.text, /it has changed since you saw it/);
    const { seen: _seen, ...unseen } = Object.fromEntries(new URLSearchParams(form));
    assert.equal((await post(board, 'budget', new URLSearchParams(unseen).toString(), own)).status, 409);
    assert.deepEqual(await events(), [
      'budget | anna | none → 0.20 CNY',
      'budget | the board | 0.20 CNY → 5.00 CNY',
      'budget | anna | 5.00 CNY → 0.20 CNY',
    ]);
    const json = { ...JSON_BODY, ...bearing(board) };
    assert.equal((await post(board, 'budget', '{"batch":"shots","budget":"1CNY"}', json)).status, 200);
  });

  test('a ledger that was copied takes no decision: the copy, which sends, would not know it', async () => {
    const { app, board } = fixture;
    await transaction(app.db, (session) =>
      closeLedger(session, { code: 'copied', note: 'elsewhere' }, 'a test'),
    );
    try {
      const headers = { ...JSON_BODY, ...bearing(board) };
      for (const act of ['cancel', 'pause', 'resume', 'retry', 'budget']) {
        await end(act === 'retry' ? { a: 'rejected' } : {});
        const more = act === 'budget' ? ',"budget":"9CNY"' : ',"yes":true';
        const answer = await post(board, act, `{"batch":"shots"${more}}`, headers);
        assert.deepEqual([answer.status, /"LEDGER_COPIED"/.test(answer.text)], [409, true], act);
      }
      const { pending, rejected } = await counts();
      assert.deepEqual([pending, rejected], [2, 1]);
    } finally {
      await app.db.query('update vidbatch.meta set closed_code = null, closed_note = null, closed_at = null');
    }
  });

  test('one page of a schedule makes one run, also when its button is pressed twice at once', async () => {
    const { board } = fixture;
    const { db } = fixture.app;
    await db.query(`update vidbatch.schedule set overlap = 'queue'`);
    await page.goto(url('/act/schedule-trigger?schedule=nightly'));
    const form = await hiddenFields('schedule');
    const own = { ...FORM, ...bearing(board), 'sec-fetch-site': 'same-origin' };
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => post(board, 'schedule-trigger', form, own)),
    );
    assert.equal(answers.filter(({ status }) => status === 303).length, 1);
    const { rows } = await db.query('select batch from vidbatch.run');
    assert.equal(rows.length, 1);
  });

  test('a read-only board has no such button and no such page, and refuses every act', async () => {
    await failTask('b');
    await end({ a: 'rejected' });
    await fixture.withBoard({ readOnly: true }, async (board) => {
      const watcher = await openPage(browser);
      await watcher.goto(board.entry);
      for (const path of ['/', '/batches/shots', '/schedules']) {
        await watcher.goto(`${board.url}${path}`);
        assert.equal(await watcher.locator('a[href*="/act/"], main form[method=post]').count(), 0, path);
      }
      await watcher.close();
      const before = await counts();
      for (const [act, query] of Object.entries(ACTS)) {
        const opened = await request(`${board.url}/act/${act}?${query}`, { headers: bearing(board) });
        assert.equal(opened.statusCode, 405, act);
        await opened.body.dump();
        const asked = Object.fromEntries(new URLSearchParams(query));
        const body = JSON.stringify({ ...asked, yes: true, confirm: 'shots', priority: 5 });
        const answer = await post(board, act, body, { ...JSON_BODY, ...bearing(board) });
        assert.equal(answer.status, 405, act);
        const form = { ...FORM, ...bearing(board), 'sec-fetch-site': 'same-origin' };
        assert.equal((await post(board, act, query, form)).status, 405, act);
      }
      assert.deepEqual(await counts(), before);
      assert.deepEqual(await events(), []);
    });
  });
});
