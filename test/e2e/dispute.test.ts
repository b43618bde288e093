import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parse } from 'csv-parse/sync';
import { exits, json } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('report --dispute', async () => {
  const cli = await openCliOnPostgres('--queued', '1ms', '--task-time', '1ms', '--failing', '1');
  after(cli.close);
  const read = (name: string): Promise<string> => readFile(join(cli.folder, name), 'utf8');

  it('writes what was paid for nothing, as CSV for the provider', async () => {
    const file = await cli.write(
      'films.csv',
      'id,model,prompt\na,viduq3p-720p,secret harbour\n=b,viduq3p-720p,secret murky\n',
    );
    const prices = await cli.write('p.json', '{"viduq3p-720p": {"perVideo": "1.5", "currency": "CNY"}}');
    await cli.simulator.addRule({ fault: 'status-502:created', match: { prompt: 'murky' } });
    exits(await cli.run(['run', file, '--prices', prices]), 5);
    exits(await cli.run(['reconcile', 'films', '--watch']), 0);
    const { stdout } = exits(await cli.run(['report', 'films', '--dispute']), 0);
    assert.equal(
      stdout,
      'wrote films.dispute.csv: 1 failed task, 1 request without a clear answer: at most 3.00 CNY\n',
    );
    const text = await read('films.dispute.csv');
    const [failed, uncertain] = parse(text, { columns: true }) as Record<string, string>[];
    assert.partialDeepStrictEqual(failed, {
      kind: 'task-failed',
      charge: 'may be charged',
      batch: 'films',
      row_key: 'a',
      model: 'viduq3p-720p',
      http_status: '200',
      amount: '1.50',
      currency: 'CNY',
    });
    assert.match(failed?.['task_id'] ?? '', /^task_/);
    assert.match(failed?.['raw_answer'] ?? '', /"status":"failed"/);
    for (const column of ['claimed_at', 'answered_at', 'ended_at'])
      assert.match(failed?.[column] ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, column);
    assert.partialDeepStrictEqual(uncertain, {
      kind: 'uncertain',
      row_key: "'=b",
      task_id: '',
      http_status: '502',
    });
    assert.match(uncertain?.['request_id'] ?? '', /./);
    assert.doesNotMatch(text, /secret|sk-e2e/, 'neither a prompt nor the key');
  });

  it('writes HTML, and prompts only when asked', async () => {
    const args = ['report', 'films', '--dispute', '--html', '--json'];
    const told = json(exits(await cli.run(args), 0));
    assert.deepEqual(told, {
      file: 'films.dispute.html',
      'task-failed': 1,
      uncertain: 1,
      amounts: [{ amount: '3', currency: 'CNY' }],
      unpriced: 0,
    });
    const page = await read('films.dispute.html');
    for (const text of ['Tasks that failed', 'Requests without a clear answer', 'may be charged: 1.50 CNY'])
      assert.ok(page.includes(text), text);
    assert.doesNotMatch(page, /secret|sk-e2e|<script/);
    exits(await cli.run([...args, '--with-prompts', '--force']), 0);
    assert.match(await read('films.dispute.html'), /secret harbour/);
    const { stdout } = exits(
      await cli.run(['report', 'films', '--dispute', '--with-prompts', '--output', '-']),
      0,
    );
    assert.match(stdout, /^kind,.*,request\r\n[^]*secret harbour/);
  });
});
