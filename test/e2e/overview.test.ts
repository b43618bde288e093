import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { widthOf } from '../../src/core/width.ts';
import { exits, VIDBATCH } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';
import { csvOf } from './manifest.ts';

const PRICES = '{"viduq3p-720p": {"perVideo": "1.5", "currency": "CNY"}}';
const NAME = '年货促销视频';

describe('the overview of all batches', async () => {
  const cli = await openCliOnPostgres('--queued', '1ms', '--task-time', '1ms');
  after(cli.close);

  /** The command on a terminal of this width. */
  async function onTerminal(columns: number, env: Record<string, string> = {}): Promise<string> {
    const line = [...VIDBATCH, 'status'].map((word) => `'${word}'`).join(' ');
    const program = ['script', '-qec', `stty cols ${columns}; ${line}`, '/dev/null'];
    return exits(await cli.run([], { program, env: { TERM: 'xterm-256color', ...env } }), 0).stdout;
  }

  it('is a table: the waiting batches, then the finished ones, with what was spent', async () => {
    const prices = await cli.write('prices.json', PRICES);
    const done = await cli.write(`${NAME}.csv`, csvOf(2, 'nian'));
    exits(await cli.run(['run', done, '--prices', prices]), 0);
    exits(await cli.run(['reconcile', NAME, '--watch']), 0);
    exits(await cli.run(['submit', await cli.write('teaser-of-the-spring-campaign.csv', csvOf(3, 't'))]), 0);
    exits(await cli.run(['submit', await cli.write('other.csv', csvOf(1, 'o'))]), 0);
    exits(await cli.run(['pause']), 0);
    const lines = exits(await cli.run(['status']), 0).stdout.split('\n');
    const at = lines.findIndex((line) => line.startsWith('batch '));
    const [head = '', first = '', second = '', last = ''] = lines.slice(at);
    assert.match(head, /^batch +state +rows +submitted +completed +spent$/);
    assert.match(first, /^other +paused +1 +0 +0$/);
    assert.match(second, /^teaser-of-the-spring-campaign +paused +3 +0 +0$/);
    assert.match(last, new RegExp(`^${NAME} +done +2 +2 +2 +3\\.00 CNY$`));
    const column = head.indexOf('state');
    assert.equal(widthOf(last.slice(0, last.indexOf('done'))), column, 'Chinese is aligned');
  });

  it('says once why batches wait', async () => {
    const { stdout } = exits(await cli.run(['status']), 0);
    assert.equal(stdout.split('everything is paused').length, 2);
    assert.match(stdout, /^other, teaser-of-the-spring-campaign {2}paused: everything is paused; /m);
  });

  it('begins with what needs a person, and says it once', async () => {
    exits(await cli.run(['resume']), 0);
    const { stdout } = exits(await cli.run(['status']), 0);
    assert.match(
      stdout,
      /^1 thing needs attention:\n {2}no worker is alive.*: 4 rows wait\n {4}vidbatch work\n\n/,
    );
    assert.match(stdout, /^other +no worker +1/m);
    assert.doesNotMatch(stdout, /no worker feeds these rows/);
  });

  it('fits a narrow terminal, and has colours only on one that has them', async () => {
    const drawn = await onTerminal(50);
    assert.ok(drawn.includes('\u001b[31mno worker is alive'), 'trouble is red');
    const lines = stripVTControlCharacters(drawn).split(/\r?\n/);
    const at = lines.findIndex((line) => line.startsWith('batch '));
    for (const line of lines.slice(at, at + 4)) assert.ok(widthOf(line) <= 50, line);
    assert.match(lines[at + 2] ?? '', /^teaser-of-th.*… /);
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const quiet = await onTerminal(50, env);
      assert.ok(!quiet.includes('\u001b['), JSON.stringify(env));
      assert.equal(quiet.replaceAll('\r', ''), lines.join('\n'), 'no word is missing without colours');
    }
    const forced = exits(await cli.run(['status'], { env: { FORCE_COLOR: '1' } }), 0).stdout;
    assert.ok(forced.includes('\u001b['));
    assert.ok(!exits(await cli.run(['status']), 0).stdout.includes('\u001b'));
  });
});
