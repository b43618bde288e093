import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { request } from 'undici';
import type { Browser, Locator, Page } from 'playwright-core';
import { formatPace } from '../../src/board/batch/batch-standing.ts';
import { createView } from '../../src/board/view.ts';
import { spanOf } from '../../src/board/batch/video-route.ts';
import { saveFolder } from '../../src/ledger/tasks/downloads.ts';
import { holdFolder } from '../../src/results/download/folder.ts';
import { Video } from '../../src/simulator/video.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { assertAccessible, assertFits } from './checks.ts';
import { bearing, get, openBoardFixture, type BoardFixture } from './fixture.ts';

const HOSTILE = '<script>document.title = "owned"</script><img src=x onerror="document.title = 1">';
const VIDEO = Buffer.concat([...new Video('here', 5000).bytes()]);
const LONG_URL = `https://cdn.example/${'x'.repeat(400)}.mp4`;

suite('the rows and videos of a batch', () => {
  let fixture: BoardFixture;
  let browser: Browser;
  let page: Page;
  let folder: string;
  /** The ids of the rows of the batch `spring`, by key. */
  const ids = new Map<string, number>();
  const url = (path: string): string => `${fixture.board.url}${path}`;
  const rows = (): Locator => page.locator('.rows tbody tr');

  before(async () => {
    fixture = await openBoardFixture();
    const { app } = fixture;
    await fixture.submit('many', { first: 'a harbour' }, 'paused');
    await makeMany();
    await makeSpring();
    browser = await openBrowser();
    page = await openPage(browser, { viewport: { width: 1440, height: 900 } });
    await page.goto(fixture.board.entry);

    /** 2,000 rows in all: every tenth one is rejected, and of the rest every second one has a task. */
    async function makeMany(): Promise<void> {
      await app.db.query(
        `with made as (
           insert into vidbatch.row (batch_id, row_key, line, input, request, content_hash, mode)
           select b.id, 'sku-' || lpad(n::text, 5, '0'), n + 1, '{}', '{"prompt":"a lighthouse ' || n || '"}', 'h' || n, 'text'
             from vidbatch.batch b, generate_series(2, 2000) n where b.name = 'many'
           returning id, batch_id, line
         )
         insert into vidbatch.row_state (id, batch_id, state, previous, content_hash, model, attempts, task_id, http_status,
                                         error_code, error, price, currency, updated_at)
         select id, batch_id, state, case when state <> 'pending' then 'submitting' end, 'h', 'viduq3p-720p', line % 4,
                case when state = 'submitted' then 'task_' || id end, case when state = 'rejected' then 400 end,
                case when state = 'rejected' then 'Policy' end, case when state = 'rejected' then '400 no' end,
                2.2, 'CNY', now() - line * interval '1 second'
           from (select *, case when line % 10 = 0 then 'rejected' when line % 2 = 0 then 'submitted' else 'pending' end as state
                   from made) m`,
      );
    }

    async function makeSpring(): Promise<void> {
      fixture.simulator.faults.add({ match: { prompt: 'refuse me' }, fault: 'policy' });
      const id = await fixture.submit('spring', {
        here: 'a tea hill',
        away: 'a night market',
        failed: 'a tower',
        refused: 'refuse me',
        [HOSTILE]: HOSTILE,
      });
      await fixture.send(5);
      const { rows: made } = await app.db.query<{ id: number; key: string }>(
        'select id, row_key as key from vidbatch.row where batch_id = $1',
        [id],
      );
      for (const row of made) ids.set(row.key, row.id);
      await app.db.query(
        `update vidbatch.row_state s set price = 2.2, currency = 'CNY', result_url = $2,
                provider_status = case r.row_key when 'failed' then 'failed' else 'completed' end,
                error_code = case r.row_key when 'failed' then 'TASK_FAILED' end,
                error = case r.row_key when 'failed' then 'InternalServiceFailure' end
           from vidbatch.row r where r.id = s.id and s.batch_id = $1 and s.state = 'submitted'`,
        [id, LONG_URL],
      );
      folder = join(fixture.config.dataDir, 'videos');
      await mkdir(folder);
      const held = holdFolder(folder, app.ledgerId, { id, name: 'spring' });
      held.release();
      await saveFolder(app.db, held);
      await writeFile(join(folder, 'here.mp4'), VIDEO);
      await download('here', held.id, 'here.mp4', 5000);
    }
  });
  after(async () => {
    await browser.close();
    await fixture.close();
  });

  async function download(key: string, folderId: string, file: string, bytes: number): Promise<void> {
    await fixture.app.db.query(
      `insert into vidbatch.download (folder_id, submission_id, task_id, state, file, bytes, sha256, media_type)
       select $2, id, task_id, 'downloaded', $3, $4, 'abc', 'video/mp4' from vidbatch.row_state where id = $1
       on conflict (folder_id, submission_id) do update set file = excluded.file, bytes = excluded.bytes`,
      [ids.get(key), folderId, file, bytes],
    );
  }

  test('a bar and chips say how far the videos are, and a chip shows its rows', async () => {
    for (const path of ['/', '/batches/spring']) {
      await page.goto(url(path));
      const chips = page.locator('.chips').filter({ hasText: 'downloaded 1' });
      assert.deepEqual(await chips.locator('li').allInnerTexts(), [
        'completed 2',
        'downloaded 1',
        'failed at the provider 1',
        'rejected 1',
      ]);
    }
    await page.getByRole('link', { name: 'failed at the provider 1' }).click();
    assert.equal(await rows().count(), 1);
    assert.match(await rows().innerText(), /TASK_FAILED: InternalServiceFailure/);
    assert.equal(await rows().locator('.dot.failed').count(), 1);
    await page.getByRole('link', { name: 'failed at the provider 1' }).click();
    assert.equal(await rows().count(), 5, 'the chip takes its filter away');
    const chips = page.locator('.chips a');
    for (const chip of await chips.all()) {
      const [, n] = /([\d,]+)$/.exec((await chip.innerText()).trim()) ?? [];
      const { text } = await get(fixture.board, `/api${await chip.getAttribute('href')}`);
      assert.equal((JSON.parse(text) as { items: unknown[] }).items.length, Number(n));
    }
  });

  test('the rows of a large batch are paged both ways, and each page says where it is', async () => {
    await page.goto(url('/batches/many'));
    const nav = page.getByRole('navigation', { name: 'pages' });
    const keys = async (): Promise<string> => {
      const all = await rows().locator('td.code').allInnerTexts();
      return `${all[0]} ${all.at(-1)}`;
    };
    assert.match(await nav.innerText(), /^rows 1–50 of 2,000\s+next page\s+last page$/);
    await nav.getByRole('link', { name: 'next page' }).click();
    assert.equal(await keys(), 'sku-00051 sku-00100');
    assert.match(await nav.innerText(), /rows 51–100 of 2,000/);
    await nav.getByRole('link', { name: 'last page' }).click();
    assert.equal(await keys(), 'sku-01951 sku-02000');
    assert.match(await nav.innerText(), /^rows 1,951–2,000 of 2,000\s+first page\s+previous page$/);
    await nav.getByRole('link', { name: 'previous page' }).click();
    assert.equal(await keys(), 'sku-01901 sku-01950');
    assert.match(await nav.innerText(), /rows 1,901–1,950 of 2,000/);
    await nav.getByRole('link', { name: 'first page' }).click();
    assert.equal(await keys(), 'first sku-00050');
  });

  test('rows are filtered by state, task and error, and sorted by a heading or by the form', async () => {
    await page.goto(url('/batches/many'));
    await page.getByLabel('error', { exact: true }).selectOption('Policy');
    await page.getByRole('button', { name: 'Show' }).click();
    assert.match(await page.getByRole('navigation', { name: 'pages' }).innerText(), /rows 1–50 of 200/);
    assert.match(await rows().first().innerText(), /HTTP 400|400 no/);
    assert.doesNotMatch(await rows().first().innerText(), /HTTP 400 Policy: 400/);
    await page.getByLabel('state', { exact: true }).selectOption('pending');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('No row fits.').waitFor();
    await page.getByRole('link', { name: 'all rows' }).click();
    const columns = await page.locator('.rows th').allInnerTexts();
    assert.deepEqual(columns.slice(0, 3), ['line ↑', 'key', 'state']);
    await page.getByRole('link', { name: 'key' }).click();
    assert.equal(await page.locator('th[aria-sort=ascending]').innerText(), 'key ↑');
    await page.getByRole('link', { name: 'key ↑' }).click();
    assert.equal(await rows().locator('td.code').first().innerText(), 'sku-02000');
    await page.getByLabel('order').selectOption('attempts');
    await page.getByRole('button', { name: 'Show' }).click();
    assert.match(await rows().first().innerText(), /\s0\s/);
    const refused = await get(fixture.board, '/batches/many?sort=prompt');
    assert.deepEqual([refused.status, /BAD_SORT/.test(refused.text)], [400, true]);
  });

  test('a column stands only where a row of the page has its value', async () => {
    const columns = async (path: string): Promise<string[]> => {
      await page.goto(url(path));
      return page.locator('.rows th').allInnerTexts();
    };
    const pending = await columns('/batches/many?state=pending');
    for (const name of ['task id', 'error', 'cost']) assert.ok(!pending.includes(name), name);
    assert.ok((await columns('/batches/many?state=rejected')).includes('error'));
    const all = await columns('/batches/spring');
    assert.match(
      await rows().filter({ hasText: 'failed' }).first().innerText(),
      /submitted · failed/,
      'the state is beside what the provider says',
    );
    for (const name of ['task id', 'model', 'attempts', 'cost', 'error', 'prompt']) {
      assert.ok(all.includes(name), name);
    }
    const box = await rows().first().locator('td.id span').boundingBox();
    assert.ok(box !== null && box.height < 30, 'a task id is one line');
  });

  test('small charts have their numbers as a table', async () => {
    await page.goto(url('/batches/spring'));
    const charts = page.getByRole('region', { name: 'Over time' });
    assert.match(
      await charts.innerText(),
      /accepted rows a minute[^]*latency, p50 and p95[^]*429 answers a minute[^]*spent, CNY/,
    );
    assert.ok((await charts.locator('figure svg rect').count()) > 0);
    await charts.getByText('The numbers of the charts').click();
    assert.match(await charts.locator('tbody').innerText(), /\d{4}-\d\d-\d\d \d\d:\d\d/);
  });

  test('the page of a row whose task failed begins with that, and with what another video costs', async () => {
    await page.goto(url(`/rows/${ids.get('failed')}`));
    const card = page.locator('main section.card').first();
    assert.match(
      await card.innerText(),
      /^The provider failed to make this video: InternalServiceFailure\. To make it again, and pay at most 2\.20 CNY again: vidbatch retry spring --failed-tasks --key failed/,
    );
    assert.equal(await card.locator('.dot.completed, .dot.submitted, .dot.downloaded').count(), 0);
    assert.equal(await page.locator('[aria-current=step]').innerText(), 'failed at the provider');
    assert.match(
      await page.locator('.path').innerText(),
      /attempt 1: accepted after[^]*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC · [\dms ]+ ago[^]*HTTP 200/,
    );
    await page.getByRole('link', { name: 'previous row' }).click();
    await page.getByRole('heading', { name: 'away' }).waitFor();
    await page.getByRole('link', { name: 'next row' }).click();
    await page.getByRole('heading', { name: 'failed', exact: true }).waitFor();
  });

  test('a downloaded video is played from its folder, and another one is only a link', async () => {
    await page.goto(url(`/rows/${ids.get('here')}`));
    const asked = page.waitForResponse((response) => response.url().endsWith('/video'));
    await page.evaluate(`void document.querySelector('video').play().catch(() => undefined)`);
    assert.equal((await asked).status(), 206);
    await page.goto(url('/batches/spring/videos'));
    assert.equal(await page.locator('video').count(), 1);
    assert.equal(await page.locator('.videos > li').count(), 4, 'only rows with a task');
    await page.goto(url(`/rows/${ids.get('away')}`));
    assert.equal(await page.locator('video').count(), 0);
    const link = page.getByRole('link', { name: "open at the provider's address" }).first();
    assert.equal(await link.getAttribute('href'), LONG_URL);
    assert.equal(await link.getAttribute('rel'), 'noreferrer noopener');
  });

  async function fetchVideo(
    path: string,
    headers: Record<string, string> = {},
    method: 'GET' | 'HEAD' = 'GET',
  ): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
    const response = await request(url(path), { method, headers: { ...bearing(fixture.board), ...headers } });
    const body = Buffer.from(await response.body.arrayBuffer());
    return { status: response.statusCode, headers: response.headers, body };
  }

  test('a video is served whole and in ranges, with a fixed type', async () => {
    const path = `/rows/${ids.get('here')}/video`;
    const whole = await fetchVideo(path);
    assert.equal(whole.status, 200);
    assert.deepEqual(whole.body, VIDEO);
    assert.equal(whole.headers['content-type'], 'video/mp4');
    assert.equal(whole.headers['content-disposition'], "inline; filename*=UTF-8''here.mp4");
    assert.equal(whole.headers['x-content-type-options'], 'nosniff');
    const part = await fetchVideo(path, { range: 'bytes=10-19' });
    assert.deepEqual([part.status, part.headers['content-range']], [206, 'bytes 10-19/5000']);
    assert.deepEqual(part.body, VIDEO.subarray(10, 20));
    assert.deepEqual((await fetchVideo(path, { range: 'bytes=-5' })).body, VIDEO.subarray(4995));
    const changed = await fetchVideo(path, { range: 'bytes=10-19', 'if-range': '"other"' });
    assert.equal(changed.status, 200);
    const beyond = await fetchVideo(path, { range: 'bytes=5000-' });
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */5000']);
    const head = await fetchVideo(path, {}, 'HEAD');
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '5000', 0]);
    assert.equal((await fetchVideo(path, { authorization: 'Bearer wrong' })).status, 401);
  });

  test('nothing but a recorded file of the folder is served', async () => {
    const { app } = fixture;
    const { rows: folders } = await app.db.query<{ id: string }>('select id from vidbatch.folder');
    const folderId = folders[0]?.id ?? assert.fail('there is a folder');
    const secret = join(fixture.config.dataDir, 'secret.mp4');
    await writeFile(secret, 'SECRET');
    await symlink(secret, join(folder, 'link.mp4'));
    const here = ids.get('here');
    const paths = [
      `/rows/${ids.get('away')}/video`,
      `/rows/${ids.get('refused')}/video`,
      '/rows/0/video',
      `/rows/${here}/video/../../../secret.mp4`,
      `/rows/${here}%2f..%2f..%2fsecret.mp4/video`,
      `/rows/..%2f..%2fetc%2fpasswd/video`,
      `/rows/${here}/video/here.mp4`,
      `/batches/spring/videos/here.mp4`,
    ];
    for (const path of paths) {
      const { status, body } = await fetchVideo(path);
      assert.equal(status, 404, path);
      assert.doesNotMatch(body.toString(), /SECRET|root:/);
    }
    for (const file of ['../secret.mp4', secret, 'link.mp4', '.vidbatch-download.json', '..']) {
      await download('away', folderId, file, 6);
      const { status, body } = await fetchVideo(`/rows/${ids.get('away')}/video`);
      assert.equal(status, 404, file);
      assert.doesNotMatch(body.toString(), /SECRET/);
    }
    await app.db.query('delete from vidbatch.download where submission_id = $1', [ids.get('away')]);
    await fixture.withBoard({ readOnly: true }, async (board) => {
      assert.equal((await get(board, `/rows/${here}/video`)).status, 200, 'to play is not to write');
    });
  });

  const PAGES = (): string[] => [
    '/',
    '/batches/spring',
    '/batches/spring/videos',
    '/batches/many?state=rejected',
    ...['here', 'away', 'failed', 'refused', HOSTILE].map((key) => `/rows/${ids.get(key)}`),
  ];

  test('the pages are clean for axe, fit a telephone, and keep hostile keys and prompts as text', async () => {
    for (const path of PAGES()) {
      await page.goto(url(path));
      await assertAccessible(page);
      await page.setViewportSize({ width: 390, height: 844 });
      await assertFits(page);
      if (path === '/batches/spring')
        assert.equal(await page.locator('.rows thead').isVisible(), false, 'each row is a card');
      await page.setViewportSize({ width: 1440, height: 900 });
      assert.equal(await page.locator('main img, main script').count(), 0, path);
      assert.doesNotMatch(await page.title(), /^(owned|1)$/);
    }
    assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), HOSTILE);
  });

  test('the pages speak Chinese', async () => {
    const chinese = await openPage(browser, { locale: 'zh-CN' });
    await chinese.goto(fixture.board.entry);
    await chinese.goto(url(`/rows/${ids.get('failed')}`));
    await chinese.getByText('服务商未能生成此视频：InternalServiceFailure。').waitFor();
    await chinese.goto(url('/batches/spring'));
    assert.match(await chinese.locator('main').innerText(), /已下载 1[^]*每分钟受理行数[^]*最近变化/);
    await chinese.close();
  });
});

test('the end of a batch is told as a time that is left and as a time of day', () => {
  const view = createView({ language: 'en' });
  const now = Date.parse('2026-11-30T21:00:00Z');
  const pace = { rows: 9, taskIds: 4, rate: 1, lately: { accepted: 60, seconds: 60 } };
  const told = (etaSeconds: number | null): string => formatPace(view, { ...pace, etaSeconds }, now);
  assert.match(told(200), / · ETA 3m 20s, at 21:03 UTC$/);
  assert.match(told(4 * 3600), / · ETA 4h 00m, at 2026-12-01 01:00 UTC$/);
  assert.doesNotMatch(told(null), /ETA/);
});

test('a range names the bytes of a file, or is ignored, or cannot be had', () => {
  const cases: Record<string, ReturnType<typeof spanOf>> = {
    'bytes=0-': { first: 0, last: 99 },
    'bytes=10-19': { first: 10, last: 19 },
    'bytes=90-1000': { first: 90, last: 99 },
    'bytes=-10': { first: 90, last: 99 },
    'bytes=-1000': { first: 0, last: 99 },
    'bytes=100-': 'unsatisfiable',
    'bytes=-0': 'unsatisfiable',
    'bytes=20-10': 'whole',
    'bytes=-': 'whole',
    'bytes=0-1,5-6': 'whole',
    'lines=1-2': 'whole',
    'bytes=a-b': 'whole',
  };
  for (const [range, span] of Object.entries(cases)) assert.deepEqual(spanOf(range, 100), span, range);
  assert.equal(spanOf(undefined, 100), 'whole');
  assert.equal(spanOf('bytes=0-', 0), 'unsatisfiable');
});
