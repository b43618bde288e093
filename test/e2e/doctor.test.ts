import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Check } from '../../src/operate/doctor/check.ts';
import { exits, jsonLines, lastLine, openCli } from '../cli.ts';
import { copyTemplate } from '../servers.ts';
import { csvOf } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const KEY = 'sk-TheKeyThatTheDoctorMustNotShow';

describe('doctor', async () => {
  const simulator = await startSimulatorProcess();
  const cli = await openCli({ VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: KEY }, { onDisk: true });
  after(async () => {
    await cli.close();
    await simulator.close();
  });
  const folder = join(cli.folder, '.vidbatch');

  it('says what nothing configured means, and makes no ledger', async () => {
    const ended = exits(await cli.run(['doctor']), 0);
    assert.match(
      ended.stdout,
      /^ok {7}configuration-storage: ledger: embedded in .*one machine, one worker$/m,
    );
    assert.match(ended.stdout, /^skipped {2}ledger: there is no ledger yet in /m);
    assert.match(ended.stdout, /^ok {7}provider-answer: .*URL and key are right$/m);
    assert.match(lastLine(ended), /^checked: \d+ ok · 0 warnings · 0 failed · \d+ skipped$/);
    assert.ok(!existsSync(folder));
  });

  it('ends with 2 if the configuration is missing, after it has run all checks', async () => {
    const env = { VIDBATCH_BASE_URL: '', VIDBATCH_RATE: 'fast', REDIS_URL: 'redis://127.0.0.1:1' };
    const ended = exits(await cli.run(['doctor', '--json'], { env }), 2);
    const checks = jsonLines<Check>(ended.stdout);
    assert.deepEqual(Object.keys(checks[0] ?? {}), ['check', 'status', 'what', 'hint']);
    const faults = checks.filter(({ status }) => status === 'failed').map(({ check }) => check);
    assert.deepEqual(faults, ['configuration', 'configuration-base-url', 'redis']);
    assert.equal(checks.at(-1)?.check, 'provider');
    assert.match(ended.stderr, /"code":"CHECKS_FAILED"/);
  });

  it('ends with 1 where something failed, each with what to do', async () => {
    const ended = exits(await cli.run(['doctor', '--base-url', 'http://127.0.0.1:1']), 1);
    assert.match(
      ended.stdout,
      /^failed {3}provider-connection: .*ECONNREFUSED.*\n {9}Check VIDBATCH_BASE_URL/m,
    );
    assert.match(ended.stderr, /^vidbatch: 1 check failed \[CHECKS_FAILED\]$/m);
  });

  it('asks the process that holds the folder, and does not disturb it', async () => {
    await copyTemplate(folder);
    const file = await cli.write('many.csv', csvOf(200, 'many'));
    const worker = cli.start(['run', file, '--rate', '20/s', '--log-level', 'info']);
    await worker.says(/"event":"accepted"/, 3);
    const ended = exits(await cli.run(['doctor']), 0);
    assert.match(
      ended.stdout,
      new RegExp(`^ok {7}data-folder-lock: held by process ${worker.pid} since`, 'm'),
    );
    assert.match(ended.stdout, /^ok {7}workers: 1 queue is being fed$/m);
    assert.match(ended.stdout, /^ok {7}journals: 1 read; the ledger knows them$/m);
    assert.match(ended.stdout, /^ok {7}queue: \d+ jobs? to do in \d queues?$/m);
    worker.kill('SIGKILL');
    await worker.ended;
  });

  it('sweeps nothing when it opens a folder whose worker was killed', async () => {
    const { stdout, stderr } = exits(await cli.run(['doctor']), 0);
    assert.match(stdout, /^ok {7}data-folder-lock: no other process holds the folder$/m);
    assert.match(stdout, /^ok {7}uncertain: no row is uncertain$/m);
    assert.ok(!(stdout + stderr).includes(KEY));
  });
});
