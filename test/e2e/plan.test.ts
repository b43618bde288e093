import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits, json, openCli } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const PRICES = '{"viduq3p-720p": {"perSecond": "0.1", "currency": "CNY"}}';

describe('plan', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  it('shows what submit would do by model and mode, and changes nothing', async () => {
    const rows = `${csvOf(4, 'shot')}night,viduq3t-720p-offpeak,by night\n`;
    const file = await cli.write('shots.csv', rows);
    assert.match(exits(await cli.run(['plan', file]), 0).stdout, /^shots: 5 rows · 5 new$/m);
    exits(await cli.run(['migrate']), 0);
    exits(await cli.run(['submit', file]), 0);
    await cli.write(
      'shots.csv',
      `${rows.replace('the shot shot-1', 'another shot')}more,viduq3p-720p,one more\n`,
    );
    const priced = ['--prices', await cli.write('prices.json', PRICES)];
    const { stdout } = exits(
      await cli.run(['plan', file, '--rate', '1/s', '--offpeak-window', '00:00-24:00 UTC', ...priced]),
      0,
    );
    assert.match(
      stdout,
      /^shots: 6 rows · 1 new · 4 known · 1 changed\n {2}viduq3p-720p text: 5 to send · 1 new · 3 known · 1 changed · 25 s of video · 2\.50 CNY\n {2}viduq3t-720p-offpeak text: 1 to send · 0 new · 1 known · 5 s of video · cost unknown\n {2}cost: at most 2\.50 CNY, and unknown for 1 row; .+\n {2}forecast: the 1 row fits in this window at 1\.0\/s; done /,
    );
    const shown = json(exits(await cli.run(['status', 'shots', '--json']), 0)) as { rows: number };
    assert.equal(shown.rows, 5);
    exits(await cli.run(['work', '--drain']), 0);
    const planned = json(exits(await cli.run(['plan', file, '--json']), 3)) as Record<string, unknown>;
    assert.deepEqual(
      ['rows', 'new', 'known', 'changed', 'invalid', 'toSend'].map((name) => planned[name]),
      [6, 1, 4, 1, 0, 0],
      'what was sent is not sent again, and cannot change',
    );
    const submitted = exits(await cli.run(['submit', file, '--json']), 3);
    assert.deepEqual({ error: planned['refused'] }, JSON.parse(submitted.stderr), 'as submit says it');
    assert.equal(
      exits(await cli.run(['plan', file]), 3).stderr,
      exits(await cli.run(['submit', file]), 3).stderr,
    );
    await cli.write('shots.csv', 'id,model,prompt\nx,viduq3p-720p,\n');
    const refused = exits(await cli.run(['plan', file]), 3);
    assert.match(refused.stdout, /1 invalid/);
    assert.match(
      refused.stderr,
      /shots\.csv: 1 of 1 row is invalid; nothing was sent \[INVALID_ROWS\]\n {2}`vidbatch validate \S+shots\.csv --all` shows/,
    );
  });

  it('makes no ledger', async () => {
    const place = await openCli();
    const file = await place.write('few.csv', csvOf(2, 'few'));
    assert.match(
      exits(await place.run(['plan', file]), 0).stdout,
      /^few: 2 rows · 2 new\n {2}viduq3p-720p text: 2 to send · 2 new · 10 s of video · cost unknown\n {2}cost: unknown for 2 rows; .+\n {2}forecast: not known until the first rows are accepted/,
    );
    assert.match(exits(await place.run(['status']), 2).stderr, /there is no ledger here \[NO_LEDGER\]/);
    await place.close();
  });
});
