import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, jsonLines, openCli } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

interface Exported {
  state: string;
  task_id: string | null;
  request: { prompt: string };
}

describe('a run that is killed in the middle, on the embedded ledger', async () => {
  const simulator = await startSimulatorProcess();
  const cli = await openCli(
    { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' },
    { ledger: true },
  );
  after(() => Promise.all([cli.close(), simulator.close()]));

  it('continues where it was: no row is paid twice, and no row is lost', async () => {
    const rows = 150;
    const file = await cli.write('killed.csv', csvOf(rows, 'kill'));
    const first = cli.start(['run', file]);
    await first.says(/"event":"accepted"/, 50);
    first.kill('SIGKILL');
    await first.ended;
    const before = simulator.accepted().length;
    assert.ok(before < rows, `killed too late: ${before} were accepted`);

    const second = await cli.run(['run', file, '--json']);
    const accepted = simulator.accepted();
    assert.deepEqual(paidTwice(accepted), []);
    const counts = countsOf(second);
    const { submitted = 0, uncertain = 0 } = counts;
    assert.equal(submitted + uncertain, rows);
    // At most what one worker had open.
    assert.ok(uncertain <= 8, `${uncertain} are uncertain`);
    exits(second, uncertain > 0 ? 5 : 0);

    const exported = jsonLines<Exported>(
      exits(await cli.run(['export', 'killed', '--format', 'jsonl']), 0).stdout,
    );
    assert.equal(exported.length, rows);
    const byPrompt = new Map(exported.map((row) => [row.request.prompt, row]));
    for (const { body, taskId } of accepted) {
      const row = byPrompt.get(body.prompt);
      if (row?.state === 'submitted') assert.equal(row.task_id, taskId);
      else assert.equal(row?.state, 'uncertain');
    }
    const ids = new Set(accepted.map(({ taskId }) => taskId));
    for (const row of exported) assert.ok(row.state === 'uncertain' || ids.has(row.task_id ?? ''));
  });
});
