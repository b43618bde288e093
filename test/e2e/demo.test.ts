import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exits, openCli, VIDBATCH, type Ended } from '../cli.ts';

const DEMO = [...VIDBATCH.slice(0, -1), fileURLToPath(new URL('../../jobs/demo.js', import.meta.url))];
const JOBS = fileURLToPath(new URL('../../jobs', import.meta.url));

/** What the user has set for other work. Each of these would end the demo, or lead it elsewhere. */
const SETTINGS = {
  REDIS_URL: 'redis://127.0.0.1:1',
  DATABASE_URL: 'postgres://127.0.0.1:1/other',
  VIDBATCH_BASE_URL: 'https://api.example.com',
  VIDBATCH_API_KEY_FILE: '/nowhere/key',
  VIDBATCH_BUDGET: '1CNY',
  VIDBATCH_JSON: 'true',
};

describe('npm run demo', async () => {
  const cli = await openCli(SETTINGS);
  after(cli.close);
  const samples = readdirSync(JOBS).sort();

  /** The folder that it names, in which all of its files are. */
  function folderOf({ stdout }: Ended): string {
    return /rm -r (\S+)/.exec(stdout)?.[1] ?? assert.fail(stdout);
  }

  it('sends 40 rows once, and ends with task ids, videos, the export and the next command', async () => {
    await cli.write('.env', 'VIDBATCH_DATA_DIR=/nowhere\nVIDBATCH_WINDOW=23:00-23:01 UTC\n');
    const ended = exits(await cli.run([], { program: DEMO, env: { TMPDIR: cli.folder } }), 0);
    assert.equal(ended.stderr.replace(/^(?:40 tasks|next:) .*\n/gm, ''), '');
    assert.match(ended.stdout, /accepted 40 requests\.$/m);
    assert.match(ended.stdout, /^ {2}harbor-01 +submitted +task_\S+ +completed$/m);
    assert.match(ended.stdout, /text\.videos +12 videos$/m);
    assert.match(ended.stdout, /^Next:\n {2}npx vidbatch validate /m);
    const folder = folderOf(ended);
    assert.ok(folder.startsWith(cli.folder));
    assert.match(readFileSync(join(folder, 'results.csv'), 'utf8'), /^id,scene,.*\r\nharbor-01,/);
    assert.deepEqual(readdirSync(JOBS).sort(), samples);
  });

  it('draws a bar on a terminal, and asks nothing', { skip: process.platform !== 'linux' }, async () => {
    const program = ['script', '-qec', DEMO.map((word) => `'${word}'`).join(' '), '/dev/null'];
    const ended = await cli.run([], { program, env: { TMPDIR: cli.folder, TERM: 'xterm' } });
    exits(ended, 0);
    assert.match(ended.stdout, /▕█+░*▏ \d+% +\d+ of 40 rows/);
    assert.doesNotMatch(ended.stdout, /\[y\/N\]/);
    assert.match(ended.stdout, /accepted 40 requests\.\r$/m);
  });
});
