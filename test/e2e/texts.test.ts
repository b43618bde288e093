import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';
import { csvOf } from './manifest.ts';

describe('what an operator reads', async () => {
  const cli = await openCliOnPostgres('--queued', '1ms', '--task-time', '1ms', '--failing', '1');
  after(cli.close);
  const { simulator } = cli;
  const said = async (...args: string[]): Promise<string> => exits(await cli.run(args), 0).stdout;

  it('of a task that failed names the command that makes it again, and its price', async () => {
    await simulator.addRule({ fault: 'invalid-request', match: { prompt: 'spring-2' } });
    await simulator.addRule({ fault: 'status-502:created', match: { prompt: 'spring-3' } });
    exits(await cli.run(['run', await cli.write('spring.csv', csvOf(3, 'spring'))]), 5);
    exits(await cli.run(['reconcile', 'spring', '--watch']), 0);
    assert.match(
      await said('explain', 'spring', 'spring-1'),
      /^next {5}the provider failed to make this video; `vidbatch retry spring --failed-tasks --key spring-1` makes it again, and pays for it again$/m,
    );
  });

  it('of failures is a table, and what to do about each group', async () => {
    const lines = (await said('failures')).split('\n');
    assert.match(lines[0] ?? '', /^rows {2}batch {3}what +cause +model +last hour {2}last \(UTC.*\)$/);
    const groups = lines.slice(1, 3).toSorted();
    assert.match(
      groups[0] ?? '',
      /^ {3}1 {2}spring {2}rejected +invalid_request · HTTP 400 +viduq3p-720p +1 {2}\d\d:\d\d$/,
    );
    assert.match(groups[1] ?? '', /^ {3}1 {2}spring {2}task failed /);
    assert.equal(lines[3], '');
    assert.match(lines.join('\n'), /^spring {2}1 row rejected: invalid_request · HTTP 400\n {2}model /m);
    assert.match(lines.join('\n'), /^ {2}pay again {2}vidbatch retry spring --failed-tasks$/m);
  });

  it('of a report names each group, and says what its times are', async () => {
    const text = await said('report', 'spring');
    assert.match(text, /^ {2}manifest \S+spring\.csv$/m);
    assert.match(text, /^ {4}uncertain HTTP 502: 1$/m);
    assert.match(text, /^ {4}rejected invalid_request: 1$/m);
  });

  it('of a batch of another provider names both, and the workers that send it', async () => {
    exits(await cli.run(['submit', await cli.write('more.csv', csvOf(1, 'more'))]), 0);
    const env = { VIDBATCH_BASE_URL: 'http://127.0.0.1:9' };
    const { stdout } = exits(await cli.run(['status', 'more'], { env }), 0);
    const here = 'and VIDBATCH_BASE_URL here is http://127.0.0.1:9';
    assert.ok(
      stdout.includes(
        `this batch is for ${simulator.url}, ${here}; only workers of ${simulator.url} send it`,
      ),
      stdout,
    );
  });

  it('of schedules is a table, with the next run in the zone of each', async () => {
    const file = await cli.write('nightly.csv', csvOf(1));
    exits(
      await cli.run(['schedule', 'add', '每晚', file, '--cron', '0 23 * * *', '--tz', 'Asia/Shanghai']),
      0,
    );
    exits(await cli.run(['schedule', 'pause', '每晚']), 0);
    exits(await cli.run(['schedule', 'add', 'hourly', file, '--cron', '0 * * * *', '--tz', 'UTC']), 0);
    const lines = (await said('schedule', 'list')).split('\n');
    assert.match(lines[0] ?? '', /^schedule {2}state {3}cron +zone +next run +last run {2}manifest$/);
    const rows = lines.slice(1, 3).join('\n');
    assert.match(rows, /^每晚 {6}paused {2}0 23 \* \* \* {2}Asia\/Shanghai +none yet {2}\S+nightly\.csv$/m);
    assert.match(
      rows,
      /^hourly {4}active {2}0 \* \* \* \* +UTC +\S+ \d\d:00 \+00:00, in \S+( \S+)? {2}none yet /m,
    );
  });

  it('of the doctor ends with the warnings and what failed', async () => {
    const lines = (await cli.run(['doctor'])).stdout.split('\n');
    const statuses = lines.flatMap((line) => /^(ok|skipped|warning|failed) /.exec(line)?.[1] ?? []);
    const trouble = statuses.map((status) => status === 'warning' || status === 'failed');
    assert.ok(trouble.includes(true), lines.join('\n'));
    assert.deepEqual(
      trouble,
      trouble.toSorted((a, b) => Number(a) - Number(b)),
    );
    assert.match(lines.join('\n'), /^warning {2}uncertain: 1 row is uncertain: it may have been accepted$/m);
  });
});
