import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { bar } from '../../src/commands/progress.ts';
import { describe as describeEnded, exits } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openDesk } from './storage.ts';

const LAUNCHER = new URL('../../bin/vidbatch.js', import.meta.url).pathname;

describe('progress', async () => {
  const desk = await openDesk('--latency', '100ms');
  after(desk.close);

  it('is drawn on a terminal: a bar, a rate and what is left, and is gone at the end', async () => {
    const file = await desk.write('drawn.csv', csvOf(60, 'drawn'));
    const command = [process.execPath, LAUNCHER, 'run', file, '--concurrency', '2', '--yes'];
    // `script` of util-linux and of BSD give a command a terminal of its own.
    const program =
      process.platform === 'linux'
        ? ['script', '-qec', command.map((word) => `'${word}'`).join(' '), '/dev/null']
        : ['script', '-q', '/dev/null', ...command];
    const ended = await desk.run([], { program, env: { TERM: 'xterm' } });
    assert.equal(ended.code, 0, describeEnded(ended));
    assert.match(ended.stdout, /▕█*░*▏ \d+% {2}\d+ of 60 rows {2}\d+\.\d\/s {2}ETA \d+s/);
    const last = ended.stdout.trimEnd().split('\n').at(-1) ?? '';
    assert.match(last, /60 rows · 60 task ids · paid twice: none known$/);
    assert.ok(ended.stdout.includes('\r\u001b[2K'), 'the bar is not wiped');
  });

  it('is not drawn without a terminal', async () => {
    const file = await desk.write('plain.csv', csvOf(30, 'plain'));
    const ended = exits(await desk.run(['run', file, '--concurrency', '2']), 0);
    for (const drawn of ['\r', '\u001b', '▕']) assert.ok(!(ended.stdout + ended.stderr).includes(drawn));
    assert.equal(ended.stdout, 'plain: 30 rows · 30 new\n30 rows · 30 task ids · paid twice: none known\n');
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
