import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, jsonLines, lastLine, openPlace } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startStandIn } from './stand-in.ts';

interface Exported {
  state: string;
  task_id: string | null;
  request: { prompt: string };
}

describe('a run that is killed in the middle, on the embedded ledger', async () => {
  const standIn = await startStandIn();
  const here = await openPlace({ VIDBATCH_BASE_URL: standIn.url, VIDBATCH_API_KEY: 'sk-e2e' });
  after(() => Promise.all([here.close(), standIn.close()]));

  it('goes on where it was: no row is paid twice, and none is lost', async () => {
    const rows = 600;
    const file = await here.write('killed.csv', csvOf(rows, 'kill'));
    const first = here.start(['run', file]);
    await first.says(/"event":"accepted"/, 150);
    first.kill('SIGKILL');
    await first.ended;
    const before = standIn.accepted().length;
    assert.ok(before < rows, `killed too late: ${before} were accepted`);

    const second = await here.run(['run', file, '--json']);
    const accepted = standIn.accepted();
    assert.deepEqual(paidTwice(accepted), []);
    const counts = countsOf(second);
    const { submitted = 0, uncertain = 0 } = counts;
    assert.equal(submitted + uncertain, rows);
    // At most what one worker had open.
    assert.ok(uncertain <= 8, `${uncertain} are uncertain`);
    exits(second, uncertain > 0 ? 5 : 0);

    const exported = jsonLines<Exported>(
      exits(await here.run(['export', 'killed', '--format', 'jsonl']), 0).stdout,
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

  it('ends with 130 and a receipt when it is interrupted, and the next one finishes', async () => {
    const file = await here.write('interrupted.csv', csvOf(300, 'int'));
    await standIn.configure({ latency: { minMs: 20, maxMs: 40 } });
    const first = here.start(['run', file]);
    await first.says(/"event":"accepted"/, 40);
    first.kill('SIGINT');
    const ended = exits(await first.ended, 130);
    assert.match(lastLine(ended), /^300 rows · \d+ task ids · \d+ pending · paid twice: none known$/);
    await standIn.configure({ latency: { minMs: 0, maxMs: 2 } });
    const second = exits(await here.run(['run', file]), 0);
    assert.equal(lastLine(second), '300 rows · 300 task ids · paid twice: none known');
    const accepted = standIn.accepted().filter(({ body }) => body.prompt.startsWith('the shot int'));
    assert.equal(accepted.length, 300);
    assert.deepEqual(paidTwice(accepted), []);
  });

  it('lets `work` finish what is in flight at the first SIGTERM, and ends with 0', async () => {
    const file = await here.write('terminated.csv', csvOf(200, 'term'));
    exits(await here.run(['submit', file]), 0);
    await standIn.configure({ latency: { minMs: 300, maxMs: 300 } });
    const work = here.start(['work']);
    await work.says(/"event":"accepted"/, 3);
    work.kill('SIGTERM');
    exits(await work.ended, 0);
    const counts = countsOf(exits(await here.run(['status', 'terminated', '--json']), 0));
    const accepted = standIn.accepted().filter(({ body }) => body.prompt.startsWith('the shot term'));
    assert.deepEqual(counts['submitted'], accepted.length);
    assert.deepEqual([counts['submitting'], counts['uncertain']], [0, 0]);
    assert.equal(counts['pending'], 200 - accepted.length);
    assert.ok(accepted.length < 200);
  });
});
