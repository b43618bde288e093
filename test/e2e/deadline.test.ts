import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Pool } from 'pg';
import { exits, json, lastLine } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const HOUR = 3_600_000;

function inHours(hours: number): string {
  return new Date(Date.now() + hours * HOUR).toISOString();
}

/** A window of an hour that opens in five. */
function laterToday(): string {
  const time = (hours: number): string => inHours(hours).slice(11, 16);
  return `${time(5)}-${time(6)} UTC`;
}

describe('a deadline', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  const db = new Pool({ connectionString: cli.databaseUrl, max: 1 });
  after(async () => {
    await db.end();
    await cli.close();
  });

  it('that is strict and cannot be met refuses the manifest: nothing is imported, nothing is sent', async () => {
    const file = await cli.write('tight.csv', csvOf(100, 'tight'));
    const fail = ['--on-deadline', 'fail', '--deadline'];
    const slow = exits(await cli.run(['run', file, '--rate', '100/h', ...fail, inHours(0.5)]), 3);
    assert.match(
      slow.stderr,
      /^vidbatch: batch tight cannot be sent by 20.*Z: done .* UTC at 1\.7\/m; nothing was sent \[DEADLINE_UNREACHABLE\]$/m,
    );
    // Whatever the rate.
    exits(await cli.run(['run', file, '--window', laterToday(), ...fail, inHours(1)]), 3);
    assert.equal((await simulator.stats()).creates, 0);
    const { rows } = await db.query('select name from vidbatch.batch');
    assert.deepEqual(rows, []);
    const { stderr } = exits(await cli.run(['submit', file, ...fail, 'tomorrow']), 2);
    assert.match(stderr, /--deadline: "tomorrow" is not a date and time with a zone, such as 2030-/);
  });

  it('that may be missed gives a warning, and the rows wait', async () => {
    const file = await cli.write('late.csv', csvOf(100, 'late'));
    const late = ['submit', file, '--rate', '10/s', '--window', laterToday(), '--deadline', inHours(1)];
    assert.match(
      exits(await cli.run(late), 0).stderr,
      /^late: the deadline 20\S+ \S+ UTC\S* \(in [^)]+\) will be missed: all 100 rows fit in .* at 10\/s; done /m,
    );
    const shown = json(exits(await cli.run(['status', 'late', '--json', '--rate', '10/s']), 0)) as {
      deadline: { on: string; chance: string };
      forecast: { waiting: number; windows: { rows: number }[]; doneAt: string };
    };
    assert.deepEqual([shown.deadline.on, shown.deadline.chance], ['wait', 'missed']);
    assert.deepEqual([shown.forecast.waiting, shown.forecast.windows[0]?.rows], [100, 100]);
    assert.ok(Date.parse(shown.forecast.doneAt) > Date.now() + 4 * HOUR);
    assert.match(
      exits(await cli.run(['status', 'late']), 0).stdout,
      /^ {2}deadline: .* will be missed\n {2}forecast: /m,
    );
  });

  it('is a gate if it is strict: the remaining rows wait until a person changes it', async () => {
    const file = await cli.write('over.csv', csvOf(2, 'over'));
    const fail = ['--on-deadline', 'fail', '--rate', '10/s', '--deadline'];
    exits(await cli.run(['submit', file, ...fail, inHours(1)]), 0);
    await db.query(
      `update vidbatch.batch set deadline = deadline - interval '2 h', not_after = not_after - interval '2 h'
        where name = 'over'`,
    );
    const before = (await simulator.stats()).creates;
    const ended = exits(await cli.run(['run', file]), 6);
    assert.match(
      ended.stderr,
      /^over: deadline: its deadline 20.* UTC.* is over, and it must not be sent late/m,
    );
    assert.match(lastLine(ended), /^2 rows · 0 task ids · 2 pending/);
    assert.equal((await simulator.stats()).creates, before);
    exits(await cli.run(['run', file, '--deadline', 'none']), 0);
    const { rows } = await db.query<{ detail: string }>(
      `select t.detail from vidbatch.event_log t join vidbatch.batch b on b.id = t.batch_id
        where t.event = 'deadline' and b.name = 'over' order by t.id`,
    );
    assert.deepEqual([rows.length, rows[1]?.detail], [2, 'none']);
  });
});
