import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import { startBoard } from '../../src/board/server.ts';
import { findSubmissionById, readEventLog, type SubmissionView } from '../../src/ledger/read/rows.ts';
import { confirmed, inspectLedger } from '../../src/operate/verify/verify.ts';
import { fileText } from '../../src/simulator/provider-files.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { only } from '../contract/rows.ts';
import { assertAccessible, assertFits } from './checks.ts';
import { bearing, get, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

const HOSTILE = `"><img src=x onerror="document.title = 1"><script>document.title = 'owned'</script>`;
const NOT_ACCEPTED = { name: 'It was not accepted' };

suite('uncertain rows on the board', () => {
  let fixture: BoardFixture;
  let browser: Browser;
  let page: Page;
  /** What a page may not do: complain, fail, or ask another host. */
  const misdeeds: string[] = [];

  before(async () => {
    fixture = await openBoardFixture();
    const { faults } = fixture.simulator;
    faults.add({ match: { prompt: 'lost' }, fault: 'reset-after-body:created' });
    faults.add({ match: { prompt: 'gone' }, fault: 'status-502:not-created' });
    const batch = await fixture.submit('doubt', {
      ok: 'a harbour',
      'lost-1': 'lost, and accepted',
      'lost-2': 'lost, and given up',
      'gone-1': 'gone, alone',
      'ok-2': 'a tea hill',
      'gone-2': 'gone, of a group',
      'gone-3': 'gone, of the same group',
    });
    await fixture.app.db.query(
      `update vidbatch.row_state set price = 2.2, currency = 'CNY' where batch_id = $1`,
      [batch],
    );
    await fixture.send(7);
    browser = await openBrowser();
    page = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    await page.goto(fixture.board.entry);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) misdeeds.push(message.text());
    });
    page.on('pageerror', (error) => misdeeds.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(`${fixture.board.url}/`)) misdeeds.push(request.url());
    });
  });
  after(async () => {
    await browser.close();
    await fixture.close();
  });

  async function rowOf(key: string): Promise<SubmissionView> {
    const { rows } = await fixture.app.db.query<{ id: number }>(
      'select id from vidbatch.submission where row_key = $1',
      [key],
    );
    return (await findSubmissionById(fixture.app.db, only(rows).id, 1000)) ?? assert.fail(key);
  }
  const stateOf = async (key: string): Promise<string> => (await rowOf(key)).state;
  const open = (path: string) => page.goto(`${fixture.board.url}${path}`);
  const openRow = async (key: string) => open(`/rows/${(await rowOf(key)).id}/settle`);
  const main = (): Locator => page.locator('main');
  const reason = (): Locator => page.getByLabel('How do you know?');
  const list = (): string => [...fileText(fixture.simulator.providerFiles(), 'list.csv')].join('');
  const taskOf = (prompt: string): string =>
    fixture.simulator.record.find(({ body }) => body.prompt === prompt)?.taskId ?? assert.fail(prompt);

  async function passDeadline(prefix: string): Promise<void> {
    await fixture.app.db.query(
      `update vidbatch.attempt a set deadline = now() from vidbatch.submission s
        where s.id = a.submission_id and s.row_key like $1 and a.outcome = 'uncertain'`,
      [`${prefix}%`],
    );
  }

  test('are grouped by what happened, with the money at risk, and each group opens to its rows', async () => {
    await open('/');
    await page.getByRole('link', { name: 'Settle them' }).click();
    await page.getByRole('heading', { name: 'Uncertain rows' }).waitFor();
    await assertAccessible(page);
    const cards = await page.locator('section.card').allInnerTexts();
    assert.match(
      cards[0] ?? '',
      /3 rows: HTTP 502[^]*a whole answer arrived[^]*doubt[^]*at most 6.60 CNY[^]*the oldest:/,
    );
    assert.match(cards[1] ?? '', /2 rows: ECONNRESET[^]*the whole request was sent, and no answer began/);
    await page.getByRole('link', { name: /ECONNRESET/ }).click();
    assert.match(await main().innerText(), /1-2 of 2/);
    await assertAccessible(page);
    await page.getByRole('link', { name: 'lost-1' }).click();
    assert.equal(page.url(), `${fixture.board.url}/rows/${(await rowOf('lost-1')).id}/settle`);
    const evidence = await page.getByRole('region', { name: 'Evidence' }).innerText();
    for (const part of ['sent: the whole request was sent', 'claimed 20', 'lost, and accepted', '2.20 CNY'])
      assert.ok(evidence.includes(part), `${part} is not in ${evidence}`);
    assert.equal(
      await page.locator('script').count(),
      0,
      'the evidence does not change while a person reads',
    );
    await open('/batches/doubt');
    await page.getByRole('link', { name: 'Settle 5 uncertain rows' }).click();
    assert.match(await main().innerText(), /Uncertain rows of doubt/);
    const { groups } = JSON.parse((await get(fixture.board, '/api/uncertain')).text) as {
      groups: { rows: number; atRisk: object[] }[];
    };
    assert.deepEqual(groups[0]?.atRisk, [{ amount: '6.6', currency: 'CNY' }]);
  });

  test('cannot be settled as not accepted before their deadline, nor without a reason', async () => {
    await openRow('gone-1');
    await page.getByRole('button', NOT_ACCEPTED).click();
    assert.equal(await reason().evaluate((field) => field.matches(':invalid')), true);
    await reason().fill('not in the list');
    await reason().press('Enter');
    assert.match(
      await page.getByRole('alert').innerText(),
      /NO_LIST/,
      'Enter looks for a task, and decides nothing',
    );
    await page.getByRole('button', NOT_ACCEPTED).click();
    assert.match(
      await page.getByRole('alert').innerText(),
      /an answer may still come until 20.*\[BEFORE_DEADLINE\]/,
    );
    assert.equal(await reason().inputValue(), 'not in the list', 'what was typed is kept');
    await open('/uncertain');
    await page.getByRole('link', { name: /502/ }).click();
    await reason().fill('not in the list');
    await page.getByRole('button', { name: 'None of them was accepted' }).click();
    assert.match(await main().innerText(), /BEFORE_DEADLINE/);
    assert.equal(await stateOf('gone-1'), 'uncertain');
    misdeeds.length = 0; // The browser reports each answer 400.
  });

  test('are settled with a task that is found in the pasted list, and never with the task of another row', async () => {
    await openRow('lost-1');
    await page.getByLabel('Paste the task list').fill(list().replace('request_id', 'of_no_use'));
    await page.getByRole('button', { name: 'Find the task of this row' }).click();
    const fits = page.getByRole('group', { name: /Tasks that fit/ });
    await assertAccessible(page);
    assert.match(
      await fits.innerText(),
      new RegExp(`${taskOf('lost, and accepted')} The same prompt and model, created `),
    );
    assert.match(await main().innerText(), /4 tasks\. 2 of them belong[^]*Exactly one task fits this row/);
    assert.match(await main().innerText(), /has a task that fits this row: it may have been accepted/);

    // The same list as a file. A file of a wrong kind and one that is too large are refused, and nothing is changed.
    await page.getByLabel('Paste the task list').fill('');
    const choose = async (name: string, text: string): Promise<void> => {
      const buffer = Buffer.from(text);
      await page.getByLabel('Or choose its file').setInputFiles({ name, mimeType: 'text/csv', buffer });
      await page.getByRole('button', { name: 'Find the task of this row' }).click();
    };
    await choose(`../../${HOSTILE}.csv`, list());
    assert.match(await main().innerText(), /4 tasks\. 2 of them belong[^]*Exactly one task fits this row/);
    await choose('list.exe', list());
    assert.match(await page.getByRole('alert').innerText(), /Nothing was changed[^]*format-unknown/);
    await choose('list.csv', ' '.repeat(20 * 1024 * 1024));
    assert.match(await main().innerText(), /larger than 16 MB[^]*--provider-file[^]*LIST_TOO_LARGE/);
    await openRow('lost-1');
    await choose('list.json', [...fileText(fixture.simulator.providerFiles(), 'list.json')].join(''));
    await page.getByText('Exactly one task fits this row').waitFor();
    await page.getByLabel('Paste the task list').fill(list().replace('request_id', 'of_no_use'));
    await page.getByRole('button', { name: 'Find the task of this row' }).click();

    await page.getByLabel('task id', { exact: true }).fill(taskOf('a harbour'));
    await reason().fill('a guess');
    await page.getByRole('button', { name: 'It was accepted' }).click();
    assert.match(
      await page.getByRole('alert').innerText(),
      /belongs to row ok of batch doubt.*\[TASK_ID_TAKEN\]/,
    );
    assert.equal(await fits.count(), 1, 'the list is still compared');
    misdeeds.length = 0;

    await page.getByLabel('task id', { exact: true }).fill('');
    await page.getByRole('radio', { name: taskOf('lost, and accepted') }).check();
    await reason().fill('in their list, same prompt');
    await page.getByRole('button', { name: 'It was accepted' }).click();
    const row = await rowOf('lost-1');
    assert.equal(
      await page.getByRole('status').innerText(),
      `lost-1: submitted · task id ${taskOf('lost, and accepted')}`,
    );
    await page.getByRole('link', { name: 'lost-2' }).waitFor();
    assert.deepEqual([row.state, row.taskId], ['submitted', taskOf('lost, and accepted')]);
    const events = await readEventLog(fixture.app.db, row.id);
    assert.deepEqual(
      events.map(({ event, who, detail }) => [event, who, detail]),
      [
        [
          'resolve --task-id',
          'the board',
          `task ${taskOf('lost, and accepted')}: in their list, same prompt`,
        ],
      ],
    );
    assert.deepEqual(misdeeds, []);
  });

  test('are settled one by one, as not accepted or as given up', async () => {
    await passDeadline('gone-1');
    await openRow('gone-1');
    await reason().fill('not in their list');
    await page.getByRole('button', NOT_ACCEPTED).click();
    await page.getByRole('status').getByRole('link', { name: 'gone-1' }).click();
    await page.getByText('resolve --not-sent by the board: not in their list').waitFor();
    assert.equal(await stateOf('gone-1'), 'pending');
    await openRow('lost-2');
    await reason().fill('the campaign is over');
    await page.getByRole('button', { name: 'Give up' }).click();
    await page.getByRole('status').getByRole('link', { name: 'lost-2' }).click();
    await page.getByText('resolve --abandon by the board: the campaign is over').waitFor();
    assert.equal(await stateOf('lost-2'), 'abandoned');
    // What is not uncertain has no page to settle it.
    await openRow('lost-2');
    assert.equal(page.url(), `${fixture.board.url}/rows/${(await rowOf('lost-2')).id}`);
    assert.deepEqual(misdeeds, []);
  });

  test('of a group are settled at once, after a question that names rows and money', async () => {
    await passDeadline('gone-');
    await open('/batches/doubt/uncertain');
    await page.getByRole('link', { name: /502/ }).click();
    await reason().fill('not in their list of today');
    await page.getByRole('button', { name: 'None of them was accepted' }).click();
    assert.match(
      await main().innerText(),
      /Call 2 rows not accepted\?[^]*at most 4.40 CNY[^]*they are paid twice[^]*not in their list of today/,
    );
    await assertAccessible(page);
    assert.equal(await stateOf('gone-2'), 'uncertain', 'the question changes nothing');
    await page.getByRole('button', { name: 'Yes, send them again' }).click();
    assert.match(await page.getByRole('status').innerText(), /2 rows are pending and are sent again/);
    assert.deepEqual([await stateOf('gone-2'), await stateOf('gone-3')], ['pending', 'pending']);
    const events = await readEventLog(fixture.app.db, (await rowOf('gone-3')).id);
    assert.deepEqual(only(events).detail, 'not in their list of today');
    assert.deepEqual(misdeeds, []);
  });

  test('that were settled as not accepted are sent again, and each row was accepted once', async () => {
    fixture.simulator.faults.clear();
    await fixture.send(3);
    const prompts = fixture.simulator.record.map(({ body }) => body.prompt);
    assert.equal(prompts.length, 7);
    assert.deepEqual(prompts.toSorted(), [...new Set(prompts)].toSorted());
    const found = [];
    for await (const one of confirmed(inspectLedger(fixture.app.db, null))) found.push(one);
    assert.deepEqual(found, []);
  });

  test('change by no form of another page, and by none without its token', async () => {
    await fixture.submit('more', { m: 'lost, once more' });
    fixture.simulator.faults.add({ match: { prompt: 'lost' }, fault: 'reset-after-body:created' });
    await fixture.send(1);
    const path = `/rows/${(await rowOf('m')).id}/settle`;
    const post = async (headers: Record<string, string>, fields: Record<string, string>): Promise<number> => {
      const response = await fetch(`${fixture.board.url}${path}`, {
        method: 'POST',
        headers: { ...bearing(fixture.board), ...headers },
        body: new URLSearchParams({ do: 'abandon', reason: 'x', ...fields }),
        redirect: 'manual',
      });
      return response.status;
    };
    const own = { origin: fixture.board.url };
    await openRow('m');
    const fieldOf = (name: string): Promise<string> =>
      page.locator(`input[name=${name}]`).first().inputValue();
    const [token, asOf] = [await fieldOf('token'), await fieldOf('asOf')];
    assert.equal(await post({ origin: 'https://evil.example' }, { token, asOf }), 403);
    assert.equal(await post({}, { token, asOf }), 415);
    assert.equal(await post(own, { asOf }), 400);
    assert.equal(await post(own, { token: 'guess', asOf }), 400);
    assert.equal(await post(own, { token, asOf: '' }), 400);
    assert.equal(
      await post(own, { token, asOf: '2000-01-01 00:00:00+00' }),
      400,
      'evidence of an earlier time',
    );
    assert.equal(await stateOf('m'), 'uncertain');
    assert.equal(await post(own, { token, asOf }), 303);
    assert.equal(await stateOf('m'), 'abandoned');
  });

  test('cannot be settled on a read-only board', async () => {
    await fixture.submit('last', { l: 'lost, the last' });
    await fixture.send(1);
    const { app } = fixture;
    const board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, readOnly: true });
    try {
      const { id } = await rowOf('l');
      await page.goto(board.entry);
      await page.goto(`${board.url}/rows/${id}/settle`);
      assert.match(await main().innerText(), /read-only[^]*vidbatch resolve last l --task-id/);
      assert.equal(await page.locator('main form[method=post]').count(), 0);
      await page.goto(`${board.url}/batches/last/uncertain`);
      await page.getByRole('link', { name: /ECONNRESET/ }).click();
      assert.equal(await page.locator('main form[method=post]').count(), 0);
      for (const path of [`/rows/${id}/settle`, '/batches/last/uncertain/rows']) {
        const response = await fetch(`${board.url}${path}`, { method: 'POST', headers: bearing(board) });
        assert.equal(response.status, 405);
      }
      assert.equal(await stateOf('l'), 'uncertain');
    } finally {
      // The page must not listen to a board that is closed.
      await open('/uncertain');
      await board.close();
      misdeeds.length = 0;
    }
  });

  test('of a large group are shown page by page, the oldest first', async () => {
    const { db } = fixture.app;
    const prompts = Array.from({ length: 401 }, (_, n) => [`k-${n + 1}`, `prompt ${n + 1}`] as const);
    const id = await fixture.submit('large', Object.fromEntries(prompts), 'paused');
    await db.query(
      `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, content_hash, claimed_at, deadline,
                                     finished_at, outcome, error_code, phase)
       select gen_random_uuid(), id, 1, 'w', $2, 0, content_hash, now() - interval '1 hour' + line * interval '1 s', now(),
              now(), 'uncertain', 'SLOW', 'sent'
         from vidbatch.submission where batch_id = $1`,
      [id, fixture.simulator.url],
    );
    await db.query(
      `update vidbatch.row_state set previous = 'submitting', state = 'uncertain', attempts = 1 where batch_id = $1`,
      [id],
    );
    await open('/batches/large/uncertain');
    await page.getByRole('link', { name: /^401 rows: SLOW/ }).click();
    const pages = page.getByRole('navigation', { name: 'pages' });
    const links = (): Promise<string[]> => pages.getByRole('link').allInnerTexts();
    assert.match(await pages.innerText(), /^1-200 of 401/);
    assert.deepEqual(await links(), ['next', 'last']);
    await page.getByRole('link', { name: 'next' }).click();
    assert.match(await pages.innerText(), /^201-400 of 401/);
    assert.equal(await page.locator('tbody a').first().innerText(), 'k-201');
    assert.deepEqual(await links(), ['first', 'previous', 'next', 'last']);
    await page.getByRole('link', { name: 'last' }).click();
    assert.match(await pages.innerText(), /^401-401 of 401/);
    assert.equal((await get(fixture.board, '/batches/large/uncertain/rows?phase=sent&code=%00')).status, 400);
    assert.equal((await get(fixture.board, '/batches/large/uncertain/rows?phase=begun')).status, 400);
    assert.deepEqual(misdeeds, []);
  });

  test('with markup in every field change no page, and no page is wider than a telephone', async () => {
    const { db } = fixture.app;
    await fixture.submit('markup', { [HOSTILE]: `lost ${HOSTILE}` });
    await fixture.send(1);
    const { id } = await rowOf(HOSTILE);
    await db.query(
      `update vidbatch.attempt set error_code = $2, error = $2, request_id = $2, body = $2,
              headers = json_build_object($2::text, $2::text)::text where submission_id = $1`,
      [id, HOSTILE],
    );
    // A second task of another row.
    await db.query(
      `update vidbatch.attempt set outcome = 'accepted', surplus = true, task_id = $2 where submission_id = $1 and task_id is null`,
      [(await rowOf('lost-1')).id, `second ${HOSTILE}`],
    );
    const paths = [
      '/uncertain',
      '/batches/markup/uncertain',
      `/batches/markup/uncertain/rows?${new URLSearchParams({ phase: 'sent', code: HOSTILE }).toString()}`,
      `/rows/${id}/settle`,
    ];
    await page.setViewportSize({ width: 390, height: 844 });
    const check = async (): Promise<void> => {
      assert.match(await page.title(), / · vidbatch$/);
      assert.equal(await page.locator('main img, main script').count(), 0);
      assert.ok((await main().innerText()).includes('<img src=x'), page.url());
      await assertFits(page);
    };
    for (const path of paths) {
      await open(path);
      await check();
    }
    await open('/uncertain');
    assert.match(await main().innerText(), /Paid twice[^]*lost-1 · doubt · task_[^]*second "><img src=x/);
    await open(paths[3] ?? '');
    await page.getByLabel('Paste the task list').fill(
      JSON.stringify([
        {
          task_id: HOSTILE,
          model: 'viduq3p-720p',
          prompt: `lost ${HOSTILE}`,
          status: HOSTILE,
          request_id: HOSTILE,
          created_at: Math.floor(Date.now() / 1000),
        },
      ]),
    );
    await page.getByRole('button', { name: 'Find the task of this row' }).click();
    assert.equal(await page.getByRole('radio').count(), 2, 'the task is a candidate');
    await check();
    await page.getByLabel('task id', { exact: true }).fill(HOSTILE);
    await reason().fill(HOSTILE);
    await page.getByRole('button', NOT_ACCEPTED).click();
    await page.getByRole('alert').waitFor();
    assert.equal(await reason().inputValue(), HOSTILE);
    await check();
    await open(paths[2] ?? '');
    await reason().fill(HOSTILE);
    await page.getByRole('button', { name: 'Give them up' }).click();
    await page.getByRole('heading', { name: 'Give 1 row up?' }).waitFor();
    await check();
    await page.getByRole('button', { name: 'Yes, give them up' }).click();
    await page.getByRole('status').waitFor();
    assert.equal(await stateOf(HOSTILE), 'abandoned');
    await page.setViewportSize({ width: 1280, height: 900 });
    assert.deepEqual(
      misdeeds.filter((one) => !/status of 400/.test(one)),
      [],
    );
  });
});
