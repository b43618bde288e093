import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { countsOf, exits, jsonLines, openCli, VIDBATCH, type Ended, type Cli } from '../cli.ts';
import { createDatabase, servers } from '../servers.ts';
import { startOddGateway } from './odd-gateway.ts';

/*
 * What people report about tools that submit batches, played from the command line to the wire. The numbers in the titles
 * are those of the reports. Where a report is about the embedded ledger, so is its test; the others share a Postgres.
 */

const shared = await servers();
const BEFORE = 'id,model,prompt,duration\n001,viduq3p-720p,pier at dawn,5\n002,viduq3p-720p,pier at noon,5\n';
const AFTER = BEFORE.replaceAll('\n00', '\n');

interface Exported {
  row_key: string;
  state: string;
  task_id: string | null;
  provider_status: string | null;
  result_url: string | null;
}

describe('what people report about batch tools', async () => {
  const gateway = await startOddGateway();
  const database = await createDatabase(shared);
  const provider = { VIDBATCH_BASE_URL: gateway.url, VIDBATCH_API_KEY: 'sk-field-reports-000' };
  const cli = await openCli({ ...provider, DATABASE_URL: database.url });
  const places: Cli[] = [cli];
  after(async () => {
    await Promise.all(places.map((place) => place.close()));
    await gateway.close();
    await database.drop();
  });
  const place = async (env: Record<string, string>, ledger = false): Promise<Cli> => {
    const opened = await openCli(env, { ledger });
    places.push(opened);
    return opened;
  };
  /** Runs a manifest with one row for each prompt; `export` says what became of them. */
  const runPrompts = async (
    batch: string,
    prompts: readonly string[],
    ...flags: string[]
  ): Promise<Ended> => {
    const rows = prompts.map((prompt, i) => `r${i + 1},viduq3p-720p,${prompt} - of ${batch}\n`).join('');
    const file = await cli.write(`${batch}.csv`, `id,model,prompt\n${rows}`);
    return cli.run(['run', file, '--yes', ...flags]);
  };
  const exported = async (batch: string): Promise<Exported[]> =>
    jsonLines<Exported>(exits(await cli.run(['export', batch, '--format', 'jsonl']), 0).stdout);

  it('1: a database folder that cannot be read keeps its ledger at every later start', async () => {
    const own = await place(provider, true);
    const file = await own.write(
      'two.csv',
      'id,model,prompt\na,viduq3p-720p,locked one\nb,viduq3p-720p,locked two\n',
    );
    exits(await own.run(['run', file, '--yes']), 0);
    const folder = join(own.folder, '.vidbatch', 'database');
    await chmod(folder, 0);
    for (const command of [['status'], ['doctor'], ['run', file, '--yes'], ['status']]) {
      const refused = await own.run(command, { program: withoutOverride() });
      assert.notEqual(refused.code, 0, refused.command);
      assert.match(refused.stdout + refused.stderr, /permission|EACCES/i);
      assert.doesNotMatch(refused.stdout + refused.stderr, /empty ledger|no batches yet|object Object/);
    }
    await chmod(folder, 0o700);
    assert.equal(countsOf(exits(await own.run(['status', 'two', '--json']), 0))['submitted'], 2);
    exits(await own.run(['run', file, '--yes']), 0);
    assert.equal(gateway.of('locked').length, 2);
  });

  it('one task id for several rows needs attention', async () => {
    exits(await runPrompts('shared', ['same-task 1', 'same-task 2', 'same-task 3', 'plain']), 0);
    const { stdout } = await cli.run(['status']);
    assert.match(
      stdout,
      /2 rows of batch shared have the task id of another row: the provider gave both one task, and one of them may have no video/,
    );
    assert.match(stdout, /vidbatch verify/);
    const verified = await cli.run(['verify']);
    assert.match(verified.stdout, /task task_of_all belongs to 3 rows/);
    const explained = exits(await cli.run(['explain', 'shared', 'r3']), 0).stdout;
    assert.match(explained, /task task_of_all is also that of r[12] of batch shared/);
  });

  it('2: ids that a spreadsheet changed are refused, and renamed or paid as the user says', async () => {
    const file = await cli.write('shots.csv', BEFORE);
    exits(await cli.run(['run', file, '--yes']), 0);
    await cli.write('shots.csv', AFTER);
    const plan = exits(await cli.run(['plan', file]), 3);
    const refused = exits(await cli.run(['run', file, '--yes']), 3);
    for (const { stderr } of [plan, refused]) {
      assert.match(stderr, /\[RENAMED_IDS\]/);
      assert.match(stderr, /001.*\b1\b/s);
      assert.match(stderr, /--rename\b.*--add\b/s);
    }
    exits(await cli.run(['run', file, '--yes', '--rename']), 0);
    exits(await cli.run(['run', file, '--yes']), 0);
    assert.equal(gateway.of('pier').length, 2);
    assert.deepEqual(
      (await exported('shots')).map(({ row_key }) => row_key),
      ['1', '2'],
    );
  });

  it('3: a byte order mark in .env hides nothing, and UTF-16 is not read as an empty file', async () => {
    const own = await place({});
    const lines =
      `DATABASE_URL=${database.url}\nVIDBATCH_BASE_URL=${gateway.url}\n` +
      'VIDBATCH_API_KEY=sk-field-reports-000\n';
    const file = await own.write('night.csv', 'id,model,prompt\nn1,viduq3p-720p,night one\n');
    for (const text of [lines, `\u{FEFF}${lines}`, Buffer.from(`\u{FEFF}${lines}`, 'utf16le')]) {
      await own.write('.env', text);
      const ended = await own.run(['run', file, '--yes']);
      if (ended.code !== 0) assert.match(exits(ended, 2).stderr, /\.env.*UTF-16/s);
    }
    assert.equal(gateway.of('night').length, 1);
  });

  it('4: a closed terminal lets open calls end, and starts no others', async () => {
    const prompts = Array.from({ length: 8 }, (_, i) => `held ${i}`);
    const rows = prompts.map((prompt, i) => `h${i},viduq3p-720p,${prompt}\n`).join('');
    const first = await cli.write('warm.csv', 'id,model,prompt\nw,viduq3p-720p,warm\n');
    exits(await cli.run(['run', first, '--yes']), 0);
    const file = await cli.write('hup.csv', `id,model,prompt\nw,viduq3p-720p,warm too\n${rows}`);
    const running = cli.start(['run', file, '--yes', '--concurrency', '4']);
    await gateway.held(4);
    running.kill('SIGHUP');
    await running.says(/"event":"stopping"/);
    gateway.release();
    const ended = exits(await running.ended, 129);
    assert.match(ended.stdout, /9 rows · 5 task ids · 4 pending/);
  });

  it('5: a compressed answer gives its task id', async () => {
    exits(await runPrompts('packed', ['plain', 'gzip', 'br', 'deflate']), 0);
    assert.deepEqual(
      (await exported('packed')).map(({ state }) => state),
      ['submitted', 'submitted', 'submitted', 'submitted'],
    );
    exits(await runPrompts('half', ['plain', 'half-gzip']), 5);
    assert.equal((await exported('half'))[1]?.state, 'uncertain');
    assert.equal(gateway.of('half-gzip').length, 1);
  });

  it('6: an integer beyond 2^53 is sent with all its digits, or refused', async () => {
    const json =
      '{"id":"k1","model":"viduq3p-720p","prompt":"digits","extra_body":{"template_id":738529527931269425}}\n';
    const file = await cli.write('digits.jsonl', json);
    const csv = await cli.write(
      'digits.csv',
      'id,model,prompt,extra_body\nk1,viduq3p-720p,digits,"{""template_id"":738529527931269425}"\n',
    );
    for (const path of [file, csv]) {
      const valid = await cli.run(['validate', path]);
      const ran = await cli.run(['run', path, '--yes', '--again', '--batch', `big-${path.endsWith('csv')}`]);
      assert.equal(ran.code, valid.code, ran.stderr);
    }
    for (const { text } of gateway.of('digits')) assert.match(text, /"template_id":738529527931269425\b/);
  });

  it('7: too few open files are reported as such, with no advice that costs money', async () => {
    const own = await place(provider, true);
    for (const limit of [24, 64]) {
      const ended = await own.run(['status'], {
        program: ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh', ...VIDBATCH],
      });
      if (ended.code === 0) continue;
      assert.doesNotMatch(ended.stderr, /DATABASE_DAMAGED|empty ledger|VIDBATCH_DATA_DIR names another/);
      assert.match(ended.stderr, /open files|descriptors|EMFILE/);
    }
  });

  it('8 and 9: the usual words of a status, and the usual places of a URL, are understood', async () => {
    const words = [
      'succeed',
      'done',
      'FINISHED',
      'canceled',
      'error',
      'rejected',
      'PENDING',
      'preparing',
      'task_status',
    ];
    const places = [
      'metadata',
      'video_urls',
      'results',
      'output',
      'outputs',
      'content',
      'creations',
      'url-object',
    ];
    exits(
      await runPrompts(
        'words',
        [...words, ...places].map((word) => `plain ${word}`),
      ),
      0,
    );
    await cli.run(['reconcile', 'words']);
    const found = (await exported('words')).map(({ provider_status }) => provider_status);
    assert.deepEqual(found, [
      'completed',
      'completed',
      'completed',
      'failed',
      'failed',
      'failed',
      'queued',
      'queued',
      'in_progress',
      ...places.map(() => 'completed'),
    ]);
    const withoutUrl = (await exported('words'))
      .filter(({ provider_status, result_url }) => provider_status === 'completed' && result_url === null)
      .map(({ row_key }) => row_key);
    assert.deepEqual(withoutUrl, []);
  });

  it("10: a code under 200 counts as the user's word says, and is uncertain without one", async () => {
    exits(await runPrompts('coded', ['plain', 'code1302']), 5);
    assert.equal((await exported('coded'))[1]?.state, 'uncertain');
    const env = { VIDBATCH_CODES: '1302=throttled' };
    const file = await cli.write('coded2.csv', 'id,model,prompt\nr1,viduq3p-720p,code1302-once\n');
    exits(await cli.run(['run', file, '--yes'], { env }), 0);
    assert.equal(gateway.of('code1302-once').length, 2);
    await runPrompts('request', ['plain', 'request-id']);
    assert.notEqual((await exported('request'))[1]?.state, 'submitted', 'an error code is no acceptance');
  });

  it('11 and 12: a task id inside `data`, and one of 64 bits, are read to the last digit', async () => {
    exits(await runPrompts('places', ['plain', 'in-data', 'data-text', 'camel', 'events', 'number-id']), 0);
    const ids = (await exported('places')).map(({ task_id }) => task_id);
    assert.match(ids.slice(0, 5).join(' '), /^(task_\d+ ?){5}$/);
    assert.equal(ids[5], '738529527931269425');
  });

  it('11: a stream that names two tasks leaves the row uncertain, and it is sent once', async () => {
    exits(await runPrompts('streams', ['plain', 'two-events']), 5);
    exits(await runPrompts('streams', ['plain', 'two-events']), 5);
    assert.equal((await exported('streams'))[1]?.state, 'uncertain');
    assert.equal(gateway.of('two-events').length, 1);
  });

  it('an API key in a task id is kept with it, and is in no log', async () => {
    const { stderr } = exits(await runPrompts('echoed', ['echo-key'], '--log-level', 'trace'), 0);
    assert.ok(!stderr.includes(provider.VIDBATCH_API_KEY), stderr);
    assert.match(stderr, /"event":"accepted".*"taskId":"task_\d+-\[API key\]"/);
    assert.ok((await exported('echoed'))[0]?.task_id?.endsWith(provider.VIDBATCH_API_KEY));
  });

  it('13 and 14: the wait that a 429 asks for is kept in all its forms', async () => {
    const waits = ['wait-date', 'wait-broken', 'wait-ms', 'wait-reset', 'wait-body'];
    for (const wait of waits) exits(await runPrompts(wait, [wait]), 0);
    const gap = (wait: string): number => {
      const [first, second] = gateway.of(wait);
      return (second?.at ?? 0) - (first?.at ?? 0);
    };
    // A date has whole seconds: of the 2 s that were asked for, up to one is cut off.
    assert.ok(gap('wait-date') >= 1000, `${gap('wait-date')} ms`);
    for (const wait of ['wait-ms', 'wait-reset', 'wait-body'])
      assert.ok(gap(wait) >= 1490, `${wait}: ${gap(wait)} ms`);
    assert.equal(gateway.of('wait-broken').length, 2);
  });

  it('15: 202 and a byte order mark before the answer are acceptances', async () => {
    exits(await runPrompts('accepted', ['http-202', 'bom-answer']), 0);
    assert.deepEqual(
      (await exported('accepted')).map(({ state }) => state),
      ['submitted', 'submitted'],
    );
  });

  it('16 and 17: prompts that a spreadsheet made are refused by line, and sent with --as-written', async () => {
    const unwritten = [
      '#REF!',
      '#N/A',
      '=A1&B1',
      'nan',
      'None',
      'null',
      'undefined',
      '???????',
      '\u{FFFD} dawn',
    ];
    const rows = unwritten.map((prompt, i) => `x${i},viduq3p-720p,${prompt}\n`).join('');
    const file = await cli.write('unwritten.csv', `id,model,prompt\n${rows}`);
    const before = gateway.creates.length;
    const refused = exits(await cli.run(['run', file, '--yes']), 3);
    for (const [i] of unwritten.entries()) {
      assert.match(refused.stderr, new RegExp(`unwritten\\.csv:${i + 2} prompt`), `line ${i + 2}`);
    }
    assert.equal(gateway.creates.length, before);
    const insist = await cli.write('insist.csv', 'id,model,prompt\ny1,viduq3p-720p,None\n');
    exits(await cli.run(['run', insist, '--yes', '--as-written']), 0);
    assert.equal(gateway.of('None').length, 1);
    const garbled = await cli.write('garbled.csv', 'id,model,prompt\nz1,viduq3p-720p,锟斤拷烫烫烫\n');
    assert.match(exits(await cli.run(['validate', garbled]), 0).stderr, /garbled\.csv:2 prompt/);
    exits(await cli.run(['validate', garbled, '--strict']), 3);
  });

  it('18: two URLs in one cell are two URLs, and never one', async () => {
    const cells = [',', ';', '\n', '，', ' ', '、', '｜'].map(
      (between) => `https://c.example/1.png${between}https://c.example/2.png`,
    );
    const rows = cells.map((cell, i) => `u${i},viduq3p-mix-720p,refs ${i},"${cell}"\n`).join('');
    const file = await cli.write('refs.csv', `id,model,prompt,reference_image_urls\n${rows}`);
    exits(await cli.run(['run', file, '--yes']), 0);
    for (const { text } of gateway.of('refs')) {
      assert.deepEqual((JSON.parse(text) as { reference_image_urls: string[] }).reference_image_urls, [
        'https://c.example/1.png',
        'https://c.example/2.png',
      ]);
    }
    assert.equal(gateway.of('refs').length, cells.length);
    const image = await cli.write(
      'image.csv',
      'id,model,prompt,image\nv1,viduq3p-720p,two images,"https://c.example/1.png,https://c.example/2.png"\n',
    );
    assert.match(exits(await cli.run(['validate', image]), 3).stderr, /image\.csv:2 image/);
  });

  it('19: ids that differ only by invisible characters give a warning', async () => {
    const file = await cli.write(
      'twins.csv',
      'id,model,prompt\na1,viduq3p-720p,first\na1\u{200B},viduq3p-720p,second\nShot-1,viduq3p-720p,third\nshot-1,viduq3p-720p,fourth\n',
    );
    const { stderr } = exits(await cli.run(['validate', file]), 0);
    assert.match(stderr, /twins\.csv:3 id/);
    assert.match(stderr, /twins\.csv:5 id/);
    exits(await cli.run(['validate', file, '--strict']), 3);
  });

  it('20: a workbook, an archive and a web page are called by their names at once', async () => {
    const html = '<!DOCTYPE html><html><body><table><tr><td>prompt</td></tr></table></body></html>';
    const files: [string, string | Buffer, RegExp][] = [
      [
        'book.xlsx',
        Buffer.concat([Buffer.from('PK\u{3}\u{4}', 'latin1'), Buffer.alloc(64)]),
        /Excel|workbook/,
      ],
      ['rows.csv.gz', gzipSync(BEFORE), /gzip|compressed/i],
      ['sheet.xls', html, /HTML|web page/],
      ['login.csv', html, /HTML|web page/],
      ['packed.csv.br', brotliCompressSync(BEFORE), /extension|format/],
    ];
    for (const [name, content, says] of files) {
      const path = await cli.write(name, content);
      const ended = await cli.run(['validate', path]);
      assert.ok(ended.code === 2 || ended.code === 3, name);
      assert.match(ended.stderr.split('\n').slice(0, 2).join('\n'), says, name);
    }
  });

  it('21, 23, 28: a title above the header, a key twice in a cell, a key in quotes', async () => {
    const titled = await cli.write('titled.csv', `第三季短片计划,,,\n${BEFORE}`);
    assert.match(exits(await cli.run(['validate', titled]), 3).stderr, /line 2.*--skip-lines 1/s);
    exits(await cli.run(['validate', titled, '--skip-lines', '1']), 0);
    const twice = await cli.write(
      'twice.csv',
      'id,model,prompt,extra_body\nt1,viduq3p-720p,twice,"{""a"":1,""a"":2}"\n',
    );
    assert.match(exits(await cli.run(['validate', twice]), 3).stderr, /twice\.csv:2 extra_body/);
    for (const key of ['"sk-field-reports-000"', '${API_KEY}']) {
      const file = await cli.write('quoted.csv', 'id,model,prompt\nq1,viduq3p-720p,quoted key\n');
      await cli.run(['run', file, '--yes'], { env: { VIDBATCH_API_KEY: key } });
    }
    for (const { authorization } of gateway.creates)
      assert.equal(authorization, 'Bearer sk-field-reports-000');
  });
});

/** As root nothing is unreadable: without the capability that overrides modes, root is like any other owner. */
function withoutOverride(): readonly string[] {
  if (process.getuid?.() !== 0) return VIDBATCH;
  return ['setpriv', '--bounding-set=-dac_override,-dac_read_search', ...VIDBATCH];
}
