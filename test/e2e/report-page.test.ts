import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const HOSTILE = '</title><script>alert(1)</script>';

describe('the report for the person who paid', async () => {
  const cli = await openCliOnPostgres('--queued', '1ms', '--task-time', '1ms');
  after(cli.close);
  const { simulator } = cli;
  let page = '';

  it('is one file with the receipt, charts, cost and failures', async () => {
    const rows = [
      `plain,viduq3p-720p,红灯笼`,
      `${HOSTILE},viduq3p-720p,refused`,
      'shot-3,viduq3p-720p,murky',
    ];
    const file = await cli.write('年货.csv', `id,model,prompt\n${rows.join('\n')}\n`);
    const prices = await cli.write('p.json', '{"viduq3p-720p": {"perVideo": "1.5", "currency": "CNY"}}');
    await simulator.addRule({ fault: 'invalid-request', match: { prompt: 'refused' } });
    await simulator.addRule({ fault: 'status-502:created', match: { prompt: 'murky' } });
    exits(await cli.run(['run', file, '--prices', prices]), 5);
    exits(await cli.run(['reconcile', '年货', '--watch']), 0);
    const { stdout } = exits(await cli.run(['report', '年货', '--html']), 0);
    assert.equal(stdout, 'wrote 年货.report.html\n');
    page = await readFile(join(cli.folder, '年货.report.html'), 'utf8');
    const words = page.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
    for (const text of [
      'Rows 3',
      'Task ids 1',
      'Videos completed 1',
      'Rows uncertain 1',
      'Paid twice 0',
      'Spent 1.50 CNY',
      'May have been paid, too 1.50 CNY',
      `Provider ${simulator.url}`,
      'invalid_request · HTTP 400',
    ])
      assert.ok(words.includes(text), `${text}: ${words}`);
    for (const chart of [
      'Rows by state',
      'Answered calls by latency',
      'Outcomes of calls',
      'Spent, by model',
    ])
      assert.ok(page.includes(`aria-label="${chart}"`), chart);
    assert.match(page, /aria-label="Rows accepted, videos completed and tasks failed, over time"/);
  });

  it('loads nothing, runs nothing, and escapes every value', () => {
    assert.doesNotMatch(page, /<script|<link|<img|<iframe|@import|url\(|\son\w+=|\s(src|href)=/i);
    assert.ok(page.includes('&lt;/title&gt;&lt;script&gt;'));
    assert.ok(!page.includes('sk-e2e'), 'the API key is nowhere');
  });

  it('does not replace a file, except with --force, and only its user can read it', async () => {
    const path = join(cli.folder, '年货.report.html');
    const refused = exits(await cli.run(['report', '年货', '--html']), 2);
    assert.match(refused.stderr, /年货\.report\.html is there already, and was not changed \[FILE_EXISTS\]/);
    assert.equal(await readFile(path, 'utf8'), page);
    exits(await cli.run(['report', '年货', '--html', '--force']), 0);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const elsewhere = ['report', '年货', '--html', '--output', 'none/r.html'];
    assert.match(exits(await cli.run(elsewhere), 2).stderr, /none\/r\.html.* \[BAD_OUTPUT\]/);
  });

  it('goes to stdout for -', async () => {
    const { stdout } = exits(await cli.run(['report', '年货', '--html', '--output', '-']), 0);
    assert.match(stdout, /^<!doctype html>[^]*<\/html>\n$/);
  });
});
