import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';
import { csvOf } from './manifest.ts';

/** As people have it: the other tests look for events in JSON. */
const UNSET = { VIDBATCH_LOG_FORMAT: '' };
const TEXT = /^\d\d:\d\d:\d\d info {2}\S+ \S+: accepted \(attempt 1, taskId task_\S+\)$/;

describe('the log', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  /** The lines on stderr that a program can read. */
  function jsonOf(stderr: string): string[] {
    return stderr.split('\n').filter((line) => line.startsWith('{'));
  }

  it('of run is text, also without a terminal, and has each task id', async () => {
    const file = await cli.write('plain.csv', csvOf(3, 'plain'));
    const { stderr } = exits(await cli.run(['run', file], { env: UNSET }), 0);
    assert.deepEqual(jsonOf(stderr), []);
    assert.equal(stderr.split('\n').filter((line) => TEXT.test(line)).length, 3, stderr);
  });

  it('of run is JSON for a program that asks, by the flag or the variable', async () => {
    const asks: [string[], Record<string, string>][] = [
      [['--log-format', 'json'], UNSET],
      [[], { VIDBATCH_LOG_FORMAT: 'json' }],
    ];
    for (const [n, [flags, env]] of asks.entries()) {
      const file = await cli.write(`json-${n}.csv`, csvOf(2, `json-${n}`));
      const { stderr } = exits(await cli.run(['run', file, ...flags], { env }), 0);
      const events = jsonOf(stderr).map((line) => (JSON.parse(line) as { event: string }).event);
      assert.equal(events.filter((event) => event === 'accepted').length, 2);
    }
  });

  it('of work, a service, is JSON without a terminal, and text when asked', async () => {
    exits(await cli.run(['submit', await cli.write('served.csv', csvOf(1, 'served'))]), 0);
    const { stderr } = exits(await cli.run(['work', '--drain'], { env: UNSET }), 0);
    assert.ok(
      stderr
        .split('\n')
        .slice(0, -1)
        .every((line) => line.startsWith('{')),
      stderr,
    );
    const text = exits(await cli.run(['work', '--drain', '--log-format', 'text'], { env: UNSET }), 0).stderr;
    assert.deepEqual(jsonOf(text), []);
    assert.match(text, /^\d\d:\d\d:\d\d info {2}working \(/m);
  });
});
