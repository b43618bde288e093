import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startSimulatorProcess, type SimulatorProcess } from '../e2e/simulator.ts';
import { mutated } from '../mutation/mutate.ts';
import type { MutationName } from '../mutation/mutations.ts';
import { findings, type Findings } from './findings.ts';
import { openCrashCli, stops, type CrashCli } from './crash-cli.ts';

/** A table that is never red proves nothing: here a guard is taken out of the program, and the findings must say so. */
describe('the findings of a crash', { concurrency: 2 }, () => {
  let simulator: SimulatorProcess;
  before(async () => {
    simulator = await startSimulatorProcess();
  });
  after(() => simulator.close());

  /** What is found of a batch named after the guard, whose first worker runs without it. */
  async function without(
    guard: MutationName,
    happens: (cli: CrashCli, file: string, env: Record<string, string>) => Promise<void>,
  ): Promise<Findings> {
    const cli = await openCrashCli('redis+postgres', simulator);
    try {
      const file = await cli.manifest(guard);
      await happens(cli, file, mutated(guard));
      const found = (await findings(cli, [guard])).get(guard);
      assert.ok(found !== undefined);
      return found;
    } finally {
      await cli.close();
    }
  }

  it('show an answer that was not written down before it was recorded', async () => {
    const { unknown } = await without('journal-without-answers', async (cli, file, env) => {
      await cli.dies({ point: 'answer-journaled' }, ['run', file], env);
      await cli.later();
      await cli.loseQueue();
      await cli.run(['run', file]);
    });
    assert.notDeepEqual(unknown, []);
  });

  it('show a row that is claimed in a wrong state', async () => {
    const { wrong } = await without('claim-without-compare', async (cli, file, env) => {
      const asleep = await stops(cli, { point: 'job-taken', time: 2 }, ['run', file], env);
      await cli.later();
      await cli.loseQueue();
      await cli.run(['run', file]);
      asleep.kill('SIGCONT');
      await asleep.ended;
    });
    assert.match(String(wrong), /acceptedTwice: .* shot \d fine/);
  });

  it('show a worker that sends a row that was settled meanwhile', async () => {
    const { wrong } = await without('stale-sender-sends', async (cli, file, env) => {
      const asleep = await stops(
        cli,
        { point: 'claimed', time: 2 },
        ['run', file, '--concurrency', '1'],
        env,
      );
      await cli.later();
      await cli.run(['run', file]);
      const row = ['stale-sender-sends', 'stale-sender-sends-2'];
      await cli.run(['resolve', ...row, '--not-sent', '--reason', 'nothing came of it']);
      await cli.run(['run', file]);
      asleep.kill('SIGCONT');
      await asleep.ended;
    });
    assert.match(String(wrong), /acceptedTwice: .* shot 2 fine/);
  });
});
