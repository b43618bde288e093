import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits, jsonLines, lastLine } from '../cli.ts';
import { armed } from '../crash/arm.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('tasks that failed at the provider', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('are named with their reasons and what makes them again; without a terminal that needs --yes', async () => {
    await simulator.configure({ task: { queuedMs: 0, runningMs: 1 } });
    await simulator.addRule({ match: { prompt: 'shots-2' }, task: { ends: 'failed' } });
    exits(await cli.run(['run', await cli.write('shots.csv', csvOf(3, 'shots'))]), 0);
    exits(await cli.run(['reconcile', 'shots', '--watch']), 0);
    const line = 'vidbatch retry shots --failed-tasks';
    const [status, report, explain, asked, other] = await Promise.all([
      cli.run(['status', 'shots']),
      cli.run(['report', 'shots']),
      cli.run(['explain', 'shots', 'shots-2']),
      cli.run(['retry', 'shots', '--failed-tasks']),
      cli.run(['retry', 'shots', '--failed-tasks', '--key', 'shots-1', '--yes']),
    ]);
    assert.match(exits(status, 0).stdout, /1 task failed at the provider: 1 /);
    for (const { stdout } of [status, report]) assert.ok(stdout.includes(line), stdout);
    assert.ok(exits(explain, 0).stdout.includes(`${line} --key shots-2`), explain.stdout);
    assert.doesNotMatch(explain.stdout, /failed\b.* \d+%/, 'how far a failed task came is no news');
    assert.match(exits(asked, 2).stderr, /1 task failed \(1 .+\); making it again costs .*NOT_CONFIRMED/s);
    assert.match(exits(other, 2).stderr, /TASK_NOT_FAILED/);
    assert.equal(simulator.accepted().length, 3);
  });

  it('stay failed tasks when the command is killed before its change is whole', async () => {
    const killed = await cli.run(['retry', 'shots', '--failed-tasks', '--yes'], {
      env: armed({ point: 'rows-retried' }),
    });
    assert.equal(killed.signal, 'SIGKILL');
    exits(await cli.run(['work', '--drain']), 0);
    assert.equal(simulator.accepted().length, 3, 'nothing is paid again');
    assert.match(
      exits(await cli.run(['status', 'shots']), 0).stdout,
      /^shots {2}3 rows · 3 task ids · paid twice: none known$/m,
    );
  });

  it('are made again once, also if the command is repeated, and the first task id is kept', async () => {
    const [first] = simulator.accepted().filter(({ body }) => body.prompt.includes('shots-2'));
    assert.ok(first !== undefined);
    await simulator.clearRules();
    const said = exits(await cli.run(['retry', 'shots', '--failed-tasks', '--yes']), 0);
    assert.match(said.stdout, /^shots: 1 row is pending again, and will be paid again/m);
    const twice = exits(await cli.run(['retry', 'shots', '--failed-tasks', '--yes']), 0);
    assert.match(twice.stdout, /nothing to make again: no failed task/);
    const ended = exits(await cli.run(['run', 'shots.csv']), 0);
    assert.match(lastLine(ended), /3 task ids · 1 paid again on purpose · paid twice: none known/);
    assert.equal(simulator.accepted().length, 4);
    const [byTask, csv, jsonl, verify, asked] = await Promise.all([
      cli.run(['explain', 'shots', first.taskId]),
      cli.run(['export', 'shots']),
      cli.run(['export', 'shots', '--format', 'jsonl']),
      cli.run(['verify']),
      cli.run(['verify', '--provider']),
    ]);
    assert.ok(exits(byTask, 0).stdout.startsWith('shots shots-2: submitted'), byTask.stdout);
    assert.ok(byTask.stdout.includes(`earlier task ${first.taskId}: failed`), byTask.stdout);
    assert.match(byTask.stdout, /\(failed, and made again on purpose\)/);
    assert.match(csv.stdout, new RegExp(`,earlier_task_ids\r\n[^]*${first.taskId}\r\n`));
    assert.deepEqual(
      jsonLines<{ earlier_task_ids?: string[] }>(jsonl.stdout).map((row) => row.earlier_task_ids),
      [undefined, [first.taskId], undefined],
    );
    exits(verify, 0);
    // Without its rule the simulator calls the first task completed: that is found, as for any task of the ledger.
    assert.ok(
      exits(asked, 7).stdout.includes(`task ${first.taskId} was failed, and the provider now says completed`),
    );
    const back = await cli.write('back.csv', csv.stdout);
    assert.match(exits(await cli.run(['plan', back, '--batch', 'shots']), 0).stdout, /0 to send/);
  });

  it('that live after all are not given back to rows that were edited meanwhile: the edit is sent', async () => {
    await simulator.addRule({ match: { prompt: 'edits-' }, task: { ends: 'failed' } });
    const manifest = await cli.write('edits.csv', csvOf(2, 'edits'));
    exits(await cli.run(['run', manifest]), 0);
    exits(await cli.run(['reconcile', 'edits', '--watch']), 0);
    const first = (key: string): string =>
      simulator.accepted().find(({ body }) => body.prompt === `the shot ${key}`)?.taskId ?? assert.fail(key);
    exits(await cli.run(['retry', 'edits', '--failed-tasks', '--yes']), 0);
    await simulator.clearRules();
    await cli.write('edits.csv', csvOf(2, 'edits').replace('the shot edits-1', 'the shot edits-1 at dusk'));
    assert.match(exits(await cli.run(['submit', manifest]), 0).stdout, /1 updated/);
    const before = simulator.accepted().length;
    exits(await cli.run(['reconcile', 'edits', '--ended']), 7);
    const waiting = await cli.run(['status', 'edits', '--json']);
    assert.deepEqual(
      jsonLines<{ counts: Record<string, number> }>(waiting.stdout).map(({ counts }) => [
        counts['pending'],
        counts['submitted'],
      ]),
      [[1, 1]],
    );
    exits(await cli.run(['run', manifest]), 0);
    const sent = simulator.accepted().slice(before);
    assert.deepEqual(
      sent.map(({ body }) => body.prompt),
      ['the shot edits-1 at dusk'],
    );
    const exported = await cli.run(['export', 'edits', '--format', 'jsonl']);
    assert.deepEqual(
      jsonLines<{ task_id: string; input: { prompt: string } }>(exported.stdout).map((row) => [
        row.task_id,
        row.input.prompt,
      ]),
      [
        [sent[0]?.taskId, 'the shot edits-1 at dusk'],
        [first('edits-2'), 'the shot edits-2'],
      ],
    );
    const told = exits(await cli.run(['explain', 'edits', 'edits-1']), 0).stdout;
    assert.match(
      told,
      new RegExp(`${first('edits-1')} did not fail after all, but the row was edited since`),
    );
  });
});
