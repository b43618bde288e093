import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parse } from 'csv-parse/sync';
import { startSimulator } from '../../src/simulator/server.ts';
import { type ProviderFile, fileText } from '../../src/simulator/provider-files.ts';
import { exits, json, openCli } from '../cli.ts';

const KEY = 'sk-Zq7vX2mTheKeyThatMustNotLeak9Lw';
const FORMULA = "=HYPERLINK('x')";

describe('reconcile --provider-file', async () => {
  const simulator = await startSimulator({ task: { queuedMs: 0, runningMs: 0 } });
  const cli = await openCli({ VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: KEY }, { ledger: true });
  after(async () => {
    await cli.close();
    await simulator.close();
  });
  const book = (file: ProviderFile): Promise<string> =>
    cli.write(file, [...fileText(simulator.providerFiles(), file)].join(''));

  it('ends with 0 where all agree, and with 7 where something differs, which it writes down', async () => {
    const rows = [{ prompt: FORMULA }, { prompt: 'plain' }].map((row) => ({ ...row, model: 'viduq3p-720p' }));
    exits(await cli.run(['run', await cli.write('text.json', JSON.stringify(rows)), '--as-written']), 0);
    const [list, bill] = [await book('list.json'), await book('bill.csv')];
    const told = json(
      exits(await cli.run(['reconcile', '--provider-file', list, '--provider-file', bill, '--json']), 0),
    );
    assert.partialDeepStrictEqual(told, {
      differing: 0,
      kinds: [{ kind: 'matched', tasks: 2, amounts: [{ currency: 'CNY', amount: '2.00' }] }],
    });

    simulator.faults.add({ match: { prompt: FORMULA }, mistake: 'billed-twice' });
    const leaky = (await readFile(await book('bill.csv'), 'utf8')).replaceAll('simulated-', `${KEY}-`);
    const wrong = await cli.write('wrong.csv', leaky);
    const args = ['reconcile', 'text', '--provider-file', list, '--provider-file', wrong];
    const { stdout } = exits(await cli.run([...args, '--differences', 'differ.csv']), 7);
    assert.match(stdout, /^ {2}charged-twice +1 +2\.00 CNY {2}charged more than once$/m);
    assert.match(stdout, /^1 task or line differs$/m);
    const text = await readFile(join(cli.folder, 'differ.csv'), 'utf8');
    const [line, ...more] = parse<Record<string, string>>(text, { columns: true });
    assert.equal(more.length, 0);
    assert.partialDeepStrictEqual(line, {
      kind: 'charged-twice',
      batch: 'text',
      amount: '2.00',
      currency: 'CNY',
    });
    assert.match(line?.['raw_answer'] ?? '', /"status":"queued"/);
    assert.ok(!text.includes(KEY) && text.includes('[API key]'), 'no key in it');
    for (const cell of Object.values(line ?? {})) assert.doesNotMatch(cell, /^[=+\-@]/);
    const folder = join(cli.folder, '.vidbatch');
    for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const path = join(file.parentPath, file.name);
      assert.ok(!(await readFile(path, 'latin1')).includes(KEY), `the key is in ${path}`);
    }
  });

  it('counts a failed task and its remake as two tasks, not as one task that was charged twice', async () => {
    simulator.faults.add({ match: { prompt: 'made again' }, task: { ends: 'failed' } });
    const file = await cli.write('remade.csv', 'id,model,prompt\nr1,viduq3p-720p,made again\n');
    exits(await cli.run(['run', file]), 0);
    exits(await cli.run(['reconcile', 'remade', '--watch']), 0);
    simulator.faults.clear();
    exits(await cli.run(['retry', 'remade', '--failed-tasks', '--yes']), 0);
    exits(await cli.run(['run', file]), 0);
    exits(await cli.run(['reconcile', 'remade', '--watch']), 0);
    const files = ['--provider-file', await book('list.json'), '--provider-file', await book('bill.csv')];
    const { stdout } = await cli.run(['reconcile', 'remade', ...files, '--json']);
    const { kinds } = JSON.parse(stdout) as { kinds: { kind: string; tasks: number }[] };
    const names = kinds.filter(({ tasks }) => tasks > 0).map(({ kind }) => kind);
    assert.ok(names.includes('matched') && !names.includes('charged-twice'), names.join(', '));
  });

  it('says in one line what it wants, and does nothing', async () => {
    const file = await cli.write('zoneless.csv', 'task_id,created_at\nt,2026-03-01 10:00:00\n');
    const { stderr } = exits(await cli.run(['reconcile', '--provider-file', file]), 2);
    assert.match(
      stderr,
      /zoneless\.csv:2 created_at: "2026-03-01 10:00:00" does not say in which zone.*\[NO_ZONE\]/s,
    );
    exits(await cli.run(['reconcile', '--provider-file', file, '--tz', 'Shanghai']), 2);
  });
});
