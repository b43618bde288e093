import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { formatQuestion } from '../../src/cli/daily/show-plan.ts';
import { bar } from '../../src/cli/output/terminal.ts';
import type { Money } from '../../src/core/money/money.ts';
import { describe as describeEnded, exits, VIDBATCH } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

/** `script` of util-linux and of BSD give a command a terminal of its own. */
function onTerminal(...args: readonly string[]): string[] {
  const command = [...VIDBATCH, ...args];
  return process.platform === 'linux'
    ? ['script', '-qec', command.map((word) => `'${word}'`).join(' '), '/dev/null']
    : ['script', '-q', '/dev/null', ...command];
}

describe('progress', async () => {
  const cli = await openCliOnPostgres('--latency', '100ms');
  after(cli.close);

  it('is drawn on a terminal: a bar, a rate and what is left, and is gone at the end', async () => {
    const file = await cli.write('drawn.csv', csvOf(60, 'drawn'));
    const program = onTerminal('run', file, '--concurrency', '2', '--yes');
    const ended = await cli.run([], { program, env: { TERM: 'xterm' } });
    assert.equal(ended.code, 0, describeEnded(ended));
    assert.match(ended.stdout, /▕█*░*▏ \d+% {2}\d+ of 60 rows {2}\d+\.\d\/s {2}ETA \d+s/);
    const [last = '', next = ''] = ended.stdout.trimEnd().split(/\r?\n/).slice(-2);
    assert.match(last, /60 rows · 60 task ids · paid twice: none known$/);
    assert.equal(
      next,
      'next: `vidbatch reconcile drawn --watch` waits for the videos, `vidbatch download drawn` fetches them',
    );
    assert.ok(ended.stdout.includes('\r\u001b[2K'), 'the bar is not wiped');
  });

  it('is not drawn without a terminal', async () => {
    const file = await cli.write('plain.csv', csvOf(30, 'plain'));
    const ended = exits(await cli.run(['run', file, '--concurrency', '2']), 0);
    for (const drawn of ['\r', '\u001b', '▕']) assert.ok(!(ended.stdout + ended.stderr).includes(drawn));
    assert.equal(ended.stdout, 'plain: 30 rows · 30 new\n30 rows · 30 task ids · paid twice: none known\n');
    assert.match(ended.stderr, /^next: `vidbatch reconcile plain --watch` /m, 'the next step is not data');
    const again = exits(await cli.run(['run', file, '--json']), 0);
    assert.doesNotMatch(again.stderr, /next:/);
  });

  it('is full at the end, and has no ETA before it has a rate', () => {
    assert.equal(bar({ done: 4, total: 4, rate: 2 }, 4), '▕████▏ 100%  4 of 4 rows  2.0/s');
    assert.equal(bar({ done: 0, total: 2000, rate: 0 }, 4), '▕░░░░▏ 0%  0 of 2,000 rows  0.0/s');
    assert.equal(
      bar({ done: 1200, total: 2000, rate: 40 }, 10),
      '▕██████░░░░▏ 60%  1,200 of 2,000 rows  40.0/s  ETA 20s',
    );
  });
});

describe('a question on a terminal', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  /** What the command says, and how it ends, when this is typed at its question. */
  async function typed(keys: string, ...args: readonly string[]): Promise<{ said: string; code: unknown }> {
    const [program = '', ...rest] = onTerminal(...args);
    const child = spawn(program, rest, {
      cwd: cli.folder,
      env: { ...process.env, ...cli.env, TERM: 'xterm' },
    });
    let said = '';
    child.stdout.on('data', (data: Buffer) => {
      const asked = said.includes('[y/N]');
      said += data.toString();
      if (!asked && said.includes('[y/N]')) child.stdin.write(keys);
    });
    const [code] = (await once(child, 'close')) as unknown[];
    return { said, code };
  }

  it('is answered by Ctrl-C and by the end of the input: nothing is done', async () => {
    const file = await cli.write('asked.csv', csvOf(3, 'asked'));
    const interrupted = await typed('\u0003', 'run', file);
    assert.match(interrupted.said, /\[y\/N\] .*\r\n.*interrupted: nothing was done \[INTERRUPTED\]/);
    assert.equal(interrupted.code, 130, interrupted.said);
    const ended = await typed('\u0004', 'run', file);
    assert.match(ended.said, /not confirmed: nothing was done \[NOT_CONFIRMED\]/);
    assert.equal(ended.code, 2, ended.said);
    assert.equal(cli.simulator.accepted().length, 0);
  });

  it('knows the budget, and the prices that the ledger has', async () => {
    const file = await cli.write('dear.csv', csvOf(3, 'dear'));
    const prices = await cli.write('p.json', '{"viduq3p-720p": {"perVideo": "1.5", "currency": "CNY"}}');
    exits(await cli.run(['submit', file, '--prices', prices, '--budget', '4CNY']), 0);
    const { said, code } = await typed('n\r', 'run', file);
    assert.match(said, / {2}budget: 4\.00 CNY, 4\.00 CNY left, which may not pay for all/);
    assert.match(said, /Send 3 rows, which cost at most 4\.50 CNY, as far as the budget goes\?/);
    assert.equal(code, 2);
  });

  it('is a sentence for known, unknown and partly known costs', () => {
    const cny = { amount: { units: 15n, scale: 1 }, currency: 'CNY' };
    const ask = (totals: Money[], unknown: number): string => formatQuestion(5, { totals, unknown }, false);
    assert.equal(ask([cny], 0), 'Send 5 rows, which cost at most 1.50 CNY?');
    assert.equal(ask([], 5), 'Send 5 rows, at a cost that is not known?');
    assert.equal(ask([cny], 2), 'Send 5 rows, 3 of them for at most 1.50 CNY and 2 at unknown cost?');
  });
});
