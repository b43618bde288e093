import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { request } from 'undici';
import { startBoard, type Board } from '../../src/board/server.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window-change.ts';
import { windowAt } from '../contract/rows.ts';
import { until } from '../until.ts';
import { bearing, get, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

interface Asked {
  path?: string;
  password?: string;
  method?: string;
  site?: string;
  headers?: Record<string, string>;
}

/** Asks as anna, with that password. */
async function ask(
  { url }: Pick<Board, 'url'>,
  asked: Asked,
): Promise<{ status: number; cookie: string | undefined }> {
  const { path = '/', password, method = 'GET', site = 'same-origin', headers } = asked;
  const authorization = `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`;
  const response = await request(`${url}${path}`, {
    method,
    headers: { 'sec-fetch-site': site, ...(password === undefined ? {} : { authorization }), ...headers },
  });
  await response.body.dump();
  const cookie = response.headers['set-cookie'];
  return { status: response.statusCode, cookie: cookie === undefined ? undefined : String(cookie) };
}

const HOSTILE = '<img src=x onerror=alert(1)>';

suite('the board over HTTP', () => {
  let fixture: BoardFixture;
  before(async () => {
    fixture = await openBoardFixture();
    const { simulator } = fixture;
    simulator.faults.add({ match: { prompt: 'refuse me' }, fault: 'policy' });
    simulator.faults.add({ match: { prompt: 'lose me' }, fault: 'status-502:created' });
    await fixture.submit('mixed', {
      'row-1': 'a harbour before sunrise',
      'row-2': 'refuse me',
      'row-3': 'lose me',
      'row-4': '<script>document.title = "owned"</script>',
    });
    await fixture.send(4);
    await fixture.submit(HOSTILE, { '"><script>1</script>': 'a tea hill' }, 'paused');
    await fixture.submit(
      'long',
      Object.fromEntries(Array.from({ length: 450 }, (_, n) => [`k${n + 1}`, `prompt ${n + 1}`])),
      'cancelled',
    );
  });
  after(() => fixture.close());

  test('the health check asks the ledger', async () => {
    const { status, text } = await get(fixture.board, '/healthz');
    assert.deepEqual([status, text], [200, '{"ok":true}']);
  });

  test('the first page has every batch with its counts, and why it waits', async () => {
    const { status, text } = await get(fixture.board, '/');
    assert.equal(status, 200);
    assert.match(text, /(sent|rendering|completed) [12]<.*uncertain 1<.*rejected 1</s);
    assert.match(text, /waiting, paused:<\/strong>\s*the batch is paused/);
    assert.match(text, /ledger: Postgres at .* queue: the same database/);
    assert.match(text, /<script src="\/live\.js" data-events="\/events" defer>/);
    assert.match(text, /no worker feeds these rows: start <code>vidbatch work<\/code>/);
  });

  test('names and prompts stay text', async () => {
    const first = await get(fixture.board, '/');
    assert.ok(first.text.includes('&lt;img src=x onerror=alert(1)&gt;'));
    assert.ok(!first.text.includes('<img'));
    const rows = await get(fixture.board, `/batches/${encodeURIComponent(HOSTILE)}`);
    assert.equal(rows.status, 200);
    assert.doesNotMatch(rows.text, /<script(?! src="\/live\.js" data)|<img/);
    const mixed = await get(fixture.board, '/batches/mixed');
    assert.ok(mixed.text.includes('&lt;script&gt;document.title'));
    assert.doesNotMatch(mixed.text, /<script(?! src="\/live\.js" data)/);
    const missing = await get(fixture.board, `/batches/${encodeURIComponent('<script>')}`);
    assert.equal(missing.status, 404);
    assert.doesNotMatch(missing.text, /<script/);
  });

  test('the rows of a batch are in the order of the manifest, and can be filtered by state', async () => {
    const { text } = await get(fixture.board, '/api/batches/mixed');
    const {
      counts,
      rows: total,
      items: rows,
      next,
    } = JSON.parse(text) as {
      counts: Record<string, number>;
      items: { key: string; state: string; taskId: string | null; error: string | null }[];
      rows: number;
      next: string | null;
    };
    assert.deepEqual(
      rows.map(({ key, state }) => `${key} ${state}`),
      ['row-1 submitted', 'row-2 rejected', 'row-3 uncertain', 'row-4 submitted'],
    );
    assert.deepEqual(
      rows.filter(({ taskId }) => taskId !== null).map(({ taskId }) => taskId),
      fixture.simulator.record.filter(({ answered }) => answered === 'sent').map(({ taskId }) => taskId),
    );
    assert.deepEqual([next, total], [null, 4]);
    assert.equal(counts['submitted'], 2);
    const rejected = await get(fixture.board, '/batches/mixed?state=rejected');
    assert.match(rejected.text, /row-2/);
    assert.doesNotMatch(rejected.text, /row-1/);
  });

  test('pages follow one another without gap or overlap', async () => {
    const keys: string[] = [];
    let next: string | null = '';
    let pages = 0;
    while (next !== null) {
      const { text } = await get(fixture.board, `/api/batches/long?state=cancelled&after=${next}`);
      const page = JSON.parse(text) as { items: { key: string }[]; next: string | null };
      keys.push(...page.items.map(({ key }) => key));
      next = page.next;
      pages++;
    }
    assert.equal(pages, 9);
    assert.deepEqual(
      keys,
      Array.from({ length: 450 }, (_, n) => `k${n + 1}`),
    );
    const { text } = await get(fixture.board, '/batches/long');
    assert.match(text, /href="\/batches\/long\?after=[\d-]+&amp;skipped=50"\s*>next page/);
  });

  test('an invalid query is refused with the allowed values', async () => {
    const questions = {
      'state=gone': 'BAD_STATE',
      'after=1': 'BAD_PLACE',
      'after=99999999999-1': 'BAD_PLACE',
    };
    for (const [query, code] of Object.entries(questions)) {
      const { status, text } = await get(fixture.board, `/api/batches/mixed?${query}`);
      assert.equal(status, 400, query);
      assert.equal((JSON.parse(text) as { error: { code: string } }).error.code, code);
    }
    for (const path of ['/api/batches?page=0', '/api/batches/%E0%A4%A', '/?page=x']) {
      assert.equal((await get(fixture.board, path)).status, 400, path);
    }
    assert.equal((await get(fixture.board, '/api/batches/nobody')).status, 404);
    assert.equal((await get(fixture.board, '/api/batches/%00')).status, 404);
    assert.equal((await get(fixture.board, '/nowhere')).status, 404);
  });

  test('a read-only board refuses writes on every path', async () => {
    const { app } = fixture;
    const board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, readOnly: true });
    const queue = `/queues/api/queues/vidbatch-${app.ledgerId}`;
    const jobs = JSON.parse(
      (await get(board, `${queue.replace(/\/[^/]+$/, '')}?activeQueue=vidbatch-${app.ledgerId}`)).text,
    ) as {
      queues: { jobs: { id: string }[] }[];
    };
    const job = jobs.queues[0]?.jobs[0]?.id;
    assert.ok(job);
    const writes: [string, string][] = [
      ['PUT', `${queue}/${job}/retry`],
      ['PUT', `${queue}/${job}/clean`],
      ['PATCH', `${queue}/${job}/update-data`],
      ['POST', `${queue}/add`],
      ['PUT', `${queue}/pause`],
      ['PUT', `${queue}/obliterate`],
      ['PUT', '/queues/api/queues/pause'],
      ['DELETE', '/batches/mixed'],
      ['POST', '/'],
      ['OPTIONS', '/nowhere'],
    ];
    for (const [method, path] of writes) {
      const response = await request(`${board.url}${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...bearing(board) },
        ...(method === 'OPTIONS' ? {} : { body: '{"name":"evil","data":{},"options":{}}' }),
      });
      assert.equal(response.statusCode, 405, `${method} ${path}`);
      assert.equal(response.headers['allow'], 'GET, HEAD');
      assert.match(await response.body.text(), /"code":"READ_ONLY"/);
    }
    assert.equal((await get(board, `${queue}/${job}`)).status, 200);
    await board.close();
  });

  test('a write has to come from this board’s own page, or from no page', async () => {
    const url = `${fixture.board.url}/queues/api/queues/vidbatch-${fixture.app.ledgerId}/add`;
    const host = new URL(url).host;
    const from: [Record<string, string>, string][] = [
      [{ 'sec-fetch-site': 'cross-site' }, 'CROSS_SITE'],
      [{ 'sec-fetch-site': 'same-site', origin: `http://${host}` }, 'CROSS_SITE'],
      [{ origin: 'https://elsewhere.example' }, 'CROSS_SITE'],
      [{ origin: 'null' }, 'CROSS_SITE'],
      [{ referer: 'https://elsewhere.example/board' }, 'CROSS_SITE'],
      [{ 'user-agent': 'Mozilla/5.0 (X11)' }, 'CROSS_SITE'],
      [{ 'content-type': 'text/plain' }, 'NOT_JSON'],
      [{ 'sec-fetch-site': 'same-origin', 'user-agent': 'Mozilla/5.0 (X11)' }, 'JOBS_FOLLOW_THE_LEDGER'],
      [{ origin: `https://${host}` }, 'JOBS_FOLLOW_THE_LEDGER'],
      [{ 'user-agent': 'curl/8' }, 'JOBS_FOLLOW_THE_LEDGER'],
    ];
    for (const [headers, code] of from) {
      const response = await request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...bearing(fixture.board), ...headers },
        body: '{}',
      });
      const { code: found, error } = (await response.body.json()) as { code: string; error: unknown };
      assert.equal(found, code, JSON.stringify([headers, error]));
    }
    const look = await request(`${fixture.board.url}/api/batches`, {
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    });
    assert.equal(look.statusCode, 403);
    await look.body.dump();
  });

  test('a board with credentials shows a client without them only its health', async () => {
    const credentials = { user: 'anna', password: 'pass:wörd' };
    const { app } = fixture;
    const board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, credentials });
    try {
      assert.equal((await get(board, '/healthz')).status, 200);
      for (const path of ['/', '/queues', '/queues/api/queues', '/api/batches', '/style.css', '/nowhere']) {
        const { status, headers } = await get(board, path);
        assert.equal(status, 401, path);
        assert.match(String(headers.get('www-authenticate')), /^Basic realm=/);
      }
      assert.equal((await ask(board, { password: credentials.password })).status, 200);
      const add = `/queues/api/queues/vidbatch-${app.ledgerId}/add`;
      const from = { password: credentials.password, method: 'POST', site: 'cross-site', path: add };
      assert.equal((await ask(board, from)).status, 403);
    } finally {
      await board.close();
    }
  });

  test('behind a proxy on this machine it has one more name', async () => {
    const at = { app: fixture.app, host: '127.0.0.1', port: 0, log: silent, publicName: 'board.example' };
    await assert.rejects(startBoard(at), { code: 'BOARD_NOT_LOCAL' });
    const board = await startBoard({ ...at, credentials: { user: 'anna', password: 'correct horse' } });
    try {
      for (const [host, status] of [
        ['board.example', 401],
        ['Board.example:443', 401],
        ['board.example.com', 403],
      ]) {
        const response = await request(`${board.url}/`, { headers: { host: String(host) } });
        assert.equal(response.statusCode, status, String(host));
        await response.body.dump();
      }
    } finally {
      await board.close();
    }
  });

  test('a row is shown by its number and by its key, also by a long key', async () => {
    const long = `${'x'.repeat(10_000_000)}END`;
    await fixture.submit('huge', { 'row-1': long, 'row-2': '😀'.repeat(4000) }, 'paused');
    const { app, board } = fixture;
    const { rows } = await app.db.query<{ id: number }>('select max(id) as id from vidbatch.submission');
    const last = Number(rows[0]?.id);
    const one = await fetch(`${board.url}/batches/huge?key=row-1`, {
      redirect: 'manual',
      headers: bearing(board),
    });
    assert.equal(one.headers.get('location'), `/rows/${last - 1}`);
    for (const path of [`/rows/${last - 1}`, `/rows/${last}`, '/batches/huge']) {
      const { status, text } = await get(board, path);
      assert.equal(status, 200);
      assert.ok(text.length < 40_000 && !text.includes('\ufffd'), `${path}: ${text.length}`);
    }
    assert.match((await get(board, `/rows/${last}`)).text, /waiting, paused/);
    const both = await get(board, '/batches/huge?key=row');
    assert.equal(both.status, 200);
    assert.match(both.text, /name="key"\s+value="row".*row-1.*row-2/s);
    const [known] = fixture.simulator.record;
    const byTask = await get(board, `/batches/mixed?key=${known?.taskId}`);
    assert.match(byTask.text, /<h1>row-1<\/h1>/);
    assert.equal((await get(board, '/batches/huge?key=nobody')).status, 404);
    assert.equal((await get(board, '/batches/huge?key=%00')).status, 404);
    for (const id of ['0', 'x', '999999', '9'.repeat(30)]) {
      assert.equal((await get(board, `/rows/${id}`)).status, 404, id);
    }
    const uncertain = await get(board, '/batches/mixed?key=row-3');
    assert.match(uncertain.text, /vidbatch resolve mixed row-3 --task-id/);
  });

  test('a row shows the gates that keep itself waiting, and the next step because of them', async () => {
    const { app, board } = fixture;
    const id = await fixture.submit('night', { day: 'sun', night: 'moon' }, 'paused');
    const { rows } = await app.db.query<{ id: number }>(
      'select id from vidbatch.row where batch_id = $1 order by line',
      [id],
    );
    const [day, night] = rows.map((row) => row.id);
    await app.db.query(`update vidbatch.row_state set model = 'viduq3t-720p-offpeak' where id = $1`, [night]);
    await setOffPeakWindow(app.db, await windowAt(app.db, [3_600_000, 7_200_000]));
    try {
      assert.doesNotMatch((await get(board, `/rows/${day}`)).text, /waiting, window/);
      const { text } = await get(board, `/rows/${night}`);
      assert.match(text, /waiting, window:<\/strong>\s*1 off-peak row waits for their window/);
      assert.match(text, /Next: a worker sends it when nothing keeps it waiting: /);
    } finally {
      await setOffPeakWindow(app.db, null);
    }
  });

  test('a name that is not this machine is refused, on every path', async () => {
    for (const path of ['/', '/api/batches', '/queues', '/queues/api/queues', '/healthz', '/nowhere']) {
      const response = await request(`${fixture.board.url}${path}`, {
        headers: { host: 'rebound.example:3000' },
      });
      assert.equal(response.statusCode, 403, path);
      assert.match(await response.body.text(), /FOREIGN_HOST/);
    }
  });

  test('every answer forbids frames, guesses and referrers', async () => {
    for (const path of ['/', '/queues', '/queues/api/queues', '/nowhere', '/api/batches']) {
      const { headers } = await get(fixture.board, path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('x-frame-options'), 'DENY');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      assert.match(
        headers.get('content-security-policy') ?? '',
        /default-src 'none'.*frame-ancestors 'none'/,
      );
      assert.equal(headers.get('access-control-allow-origin'), null);
    }
  });

  test("Bull Board's page names no other host", async () => {
    const { text } = await get(fixture.board, '/queues');
    assert.match(text, /<base href="\/queues\/"/);
    assert.doesNotMatch(text, /https?:\/\//);
  });

  test('the queue of a run is shown as long as the run lasts', async () => {
    const { app } = fixture;
    const id = await fixture.submit('one run', { a: 'a lighthouse' }, 'paused');
    const shown = async (): Promise<string[]> => {
      // The list of queues is looked up again after a moment; another board looks at once.
      const other = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent });
      try {
        const { text } = await get(other, '/queues/api/queues');
        const { queues } = JSON.parse(text) as { queues: { displayName: string; readOnlyMode: boolean }[] };
        assert.ok(queues.every(({ readOnlyMode }) => !readOnlyMode));
        return queues.map(({ displayName }) => displayName);
      } finally {
        await other.close();
      }
    };
    const sending = await fixture.work([id]);
    await until(async () => (await shown()).length === 2);
    assert.deepEqual(await shown(), ['all batches', 'run of one run']);
    await sending.close();
    assert.deepEqual(await shown(), ['all batches']);
    const { rows } = await app.db.query<{ name: string }>('select distinct queue as name from bullmq.meta');
    assert.deepEqual(rows, [{ name: `vidbatch-${app.ledgerId}` }]);
  });

  test('it does not listen where others can reach it', async () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.1', 'example.com']) {
      await assert.rejects(startBoard({ app: fixture.app, host, port: 0, log: silent }), {
        code: 'BOARD_NOT_LOCAL',
        exitCode: 2,
      });
      const credentials = { user: 'anna', password: 'short' };
      await assert.rejects(startBoard({ app: fixture.app, host, port: 0, log: silent, credentials }), {
        code: 'BOARD_PASSWORD_WEAK',
        exitCode: 2,
      });
    }
  });

  test('a port that is in use gives one clear line', async () => {
    const port = Number(new URL(fixture.board.url).port);
    await assert.rejects(startBoard({ app: fixture.app, host: '127.0.0.1', port, log: silent }), {
      code: 'CANNOT_LISTEN',
      message: /another process listens there/,
    });
  });

  test('while another process takes the ledger, the board says so, and continues afterwards', async () => {
    const { app } = fixture;
    const board = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent });
    try {
      await board.show(undefined);
      assert.equal((await get(board, '/healthz')).status, 503);
      const away = await get(board, '/');
      assert.equal(away.status, 503);
      assert.match(away.text, /LEDGER_AWAY/);
      assert.deepEqual(JSON.parse((await get(board, '/queues/api/queues')).text), { queues: [] });
      await board.show(app);
      assert.equal((await get(board, '/')).status, 200);
    } finally {
      await board.close();
    }
  });

  test('a task that failed at the provider is in the bar, in a filter, and on the page of its row', async () => {
    const { app, board } = fixture;
    const id = await fixture.submit('rendered', { good: 'a bridge', bad: 'a tower' });
    await fixture.send(2);
    await app.db.query(
      `update vidbatch.row_state s set provider_status = case r.row_key when 'bad' then 'failed' else 'completed' end
         from vidbatch.row r where r.id = s.id and s.batch_id = $1`,
      [id],
    );
    const home = await get(board, '/');
    assert.match(home.text, /<rect class="failed" x="50" y="0" width="50"/);
    assert.match(home.text, /failed at the provider 1\s*</);
    const failed = await get(board, '/batches/rendered?task=failed');
    assert.match(failed.text, />bad</);
    assert.doesNotMatch(failed.text, />good</);
    const row = await get(board, '/batches/rendered?key=bad');
    assert.match(
      row.text,
      /The provider failed to make this video.*vidbatch retry rendered --failed-tasks --key bad/s,
    );
    assert.doesNotMatch(row.text, /dot (completed|submitted)"/);
    assert.equal((await get(board, '/batches/rendered?task=x')).status, 400);
  });
});
