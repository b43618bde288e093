import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { startRecorder } from '../operate/notify/recorder.ts';
import { until } from '../until.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';
import { csvOf, paidTwice } from './manifest.ts';

const URL_SECRET = 'tok3n-of-the-url';
const SECRET = 's3cret-of-the-hook';

describe('--notify', async () => {
  const recorder = await startRecorder();
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(async () => {
    await cli.close();
    await recorder.close();
  });
  const url = `${recorder.url}/${URL_SECRET}`;
  const env = { VIDBATCH_NOTIFY_SECRET: SECRET, VIDBATCH_NOTIFY: url };

  it('tells of a batch that two workers send once, signed, without key, prompt or URL anywhere', async () => {
    exits(await cli.run(['submit', await cli.write('night.csv', csvOf(60, 'night'))]), 0);
    const ends = await Promise.all([1, 2].map(() => cli.run(['work', '--drain'], { env })));
    for (const ended of ends) {
      exits(ended, 0);
      assert.doesNotMatch(ended.stdout + ended.stderr, new RegExp(`${URL_SECRET}|${SECRET}`));
    }
    const done = recorder.all.filter(({ headers }) => headers['x-vidbatch-event'] === 'batch-done');
    assert.equal(done.length, 1);
    const [{ headers, body, path } = assert.fail()] = done;
    assert.equal(path, `/${URL_SECRET}`);
    const signed = createHmac('sha256', SECRET).update(`${String(headers['x-vidbatch-timestamp'])}.${body}`);
    assert.equal(headers['x-vidbatch-signature'], `sha256=${signed.digest('hex')}`);
    const { version, event, data } = JSON.parse(body) as {
      version: number;
      event: string;
      data: Record<string, unknown>;
    };
    assert.deepEqual(
      [version, event, data['batch'], data['rows'], data['taskIds']],
      [1, 'batch-done', 'night', 60, 60],
    );
    for (const one of recorder.all) assert.doesNotMatch(JSON.stringify(one), /sk-e2e|prompt/);
    const status = exits(await cli.run(['status', '--json'], { env }), 0);
    assert.doesNotMatch(status.stdout, new RegExp(URL_SECRET));
  });

  it('to a server that never answers delays no row, and `run` ends; a later command delivers', async () => {
    recorder.all.length = 0;
    recorder.answer('silence');
    const file = await cli.write('quiet.csv', csvOf(20, 'quiet'));
    exits(await cli.run(['run', file], { env }), 0);
    assert.equal(simulator.accepted().length, 80);
    assert.deepEqual(paidTwice(simulator.accepted()), []);
    recorder.answer({ status: 200 });
    const unanswered = recorder.all.length;
    const worker = cli.start(['work'], { env });
    await until(() =>
      recorder.all.slice(unanswered).some(({ body }) => body.includes('batch quiet is done')),
    );
    worker.kill('SIGTERM');
    exits(await worker.ended, 0);
  });

  it('tells of rows that may have been paid and of a halt, with neither prompt nor text of the provider', async () => {
    recorder.all.length = 0;
    await simulator.addRule({ fault: 'reset-after-body:created', match: { prompt: 'risky-2' } });
    const risky = exits(await cli.run(['run', await cli.write('risky.csv', csvOf(3, 'risky'))], { env }), 5);
    assert.match(risky.stdout, /1 uncertain/);
    await simulator.addRule({ fault: 'unauthorized' });
    exits(await cli.run(['run', await cli.write('bad.csv', csvOf(3, 'bad'))], { env }), 6);
    assert.deepEqual(recorder.events().toSorted(), ['batch-done', 'provider-halted', 'rows-uncertain']);
    const text = recorder.all.map(({ body }) => body).join('');
    assert.match(text, /1 row may have been paid, and is not sent again: 1 of risky/);
    assert.match(text, /nothing is sent to http:\S+ any more: it was halted with \S+ \(HTTP 401\)/);
    assert.doesNotMatch(text, /Invalid token|sk-e2e|"prompt"/);
  });
});

describe('vidbatch notify test and doctor', async () => {
  const recorder = await startRecorder();
  const cli = await openCliOnPostgres();
  after(async () => {
    await cli.close();
    await recorder.close();
  });

  it('send a test message in each format, and say which place did not take it', async () => {
    const given = ['json', 'slack', 'dingtalk', 'feishu', 'wecom'].flatMap((format) => [
      '--notify',
      `${format}+${recorder.url}/${URL_SECRET}`,
    ]);
    const well = exits(await cli.run(['notify', 'test', ...given]), 0);
    assert.equal(well.stdout.match(/: delivered$/gm)?.length, 5);
    recorder.answer({ status: 200, body: '{"errcode":310000,"errmsg":"sign not match"}' });
    const ended = exits(await cli.run(['notify', 'test', ...given]), 1);
    assert.match(
      ended.stdout,
      /^dingtalk at http:\/\/127\.0\.0\.1:\d+: not delivered: HTTP 200 with code 310000$/m,
    );
    assert.match(ended.stdout, /^json at \S+: delivered$/m);
    assert.doesNotMatch(ended.stdout + ended.stderr, new RegExp(URL_SECRET));
    assert.match(exits(await cli.run(['notify', 'test']), 2).stderr, /\[NO_NOTIFY_URL\]/);
  });

  it('check the URLs and send nothing, and a wrong one fails without being shown', async () => {
    recorder.all.length = 0;
    const env = {
      VIDBATCH_NOTIFY: `https://hooks.slack.com/services/${URL_SECRET} http://example.com/${URL_SECRET}`,
    };
    const ended = exits(await cli.run(['doctor'], { env }), 2);
    assert.match(ended.stdout, /URL 2 \(http:\/\/example\.com\) is plain http/);
    const good = await cli.run(['doctor', '--notify', `https://hooks.slack.com/services/${URL_SECRET}`]);
    assert.match(good.stdout, /slack at https:\/\/hooks\.slack\.com/);
    for (const { stdout, stderr } of [ended, good])
      assert.doesNotMatch(stdout + stderr, new RegExp(URL_SECRET));
    assert.deepEqual(recorder.all, []);
    assert.match(exits(await cli.run(['work'], { env }), 2).stderr, /\[BAD_NOTIFY_URL\]/);
  });
});
