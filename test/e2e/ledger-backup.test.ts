import assert from 'node:assert/strict';
import { readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { countsOf, describe as tell, exits, json, openCli, VIDBATCH, type Cli } from '../cli.ts';
import { armed } from '../crash/arm.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess, type SimulatorProcess } from './simulator.ts';

const ROWS = 60;

interface Here extends Cli {
  simulator: SimulatorProcess;
}

/** An embedded ledger, and a simulator to send to. */
async function open(): Promise<Here> {
  const simulator = await startSimulatorProcess();
  const cli = await openCli(
    { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-e2e' },
    { ledger: true },
  );
  after(() => Promise.all([cli.close(), simulator.close()]));
  return { ...cli, simulator };
}

describe('a backup of the embedded ledger', () => {
  it('is made while a worker works; restored beside the journals that stayed, it pays for nothing again', async () => {
    const cli = await open();
    const { simulator } = cli;
    const file = await cli.write('rows.csv', csvOf(ROWS, 'rows'));
    // From then on the provider accepts no row until the backup is made, however long that takes.
    await simulator.addRule({ match: { nth: ROWS / 4 + 1, times: 1_000_000 }, fault: 'throttle' });
    const running = cli.start(['run', file]);
    await running.says(/"event":"accepted"/, ROWS / 4);
    const made = exits(await cli.run(['ledger', 'backup', 'b.ledger', '--json']), 0);
    await simulator.clearRules();
    exits(await running.ended, 0);
    const backup = join(cli.folder, 'b.ledger');
    assert.equal((await stat(backup)).mode & 0o777, 0o600);
    assert.ok((json(made) as { journals: number }).journals > 0);
    assert.match(exits(await cli.run(['ledger', 'backup', 'b.ledger']), 2).stderr, /\[FILE_THERE\]/);
    assert.match(exits(await cli.run(['ledger', 'restore', 'b.ledger']), 3).stderr, /\[TARGET_NOT_EMPTY\]/);

    await rm(join(cli.folder, '.vidbatch', 'database'), { recursive: true });
    exits(await cli.run(['ledger', 'restore', 'b.ledger']), 0);
    const refused = exits(await cli.run(['run', file]), 3);
    assert.match(refused.stderr, /restored at .* rows may have been sent since then \[LEDGER_RESTORED\]/);
    assert.ok((countsOf(exits(await cli.run(['status', 'rows', '--json']), 0))['pending'] ?? 0) > 0);
    exits(await cli.run(['ledger', 'reopen', '--yes']), 0);
    const again = exits(await cli.run(['run', file, '--json']), 0);
    assert.equal(countsOf(again)['submitted'], ROWS);
    assert.deepEqual([simulator.accepted().length, paidTwice(simulator.accepted())], [ROWS, []]);
    assert.match(exits(await cli.run(['verify']), 0).stdout, /every invariant holds/);
  });

  it('restored elsewhere has every row, and each command refuses it while it is made', async () => {
    const cli = await open();
    const file = await cli.write('some.csv', csvOf(5, 'some'));
    exits(await cli.run(['run', file]), 0);
    exits(await cli.run(['ledger', 'backup', 'some.ledger']), 0);
    const there = { env: { VIDBATCH_DATA_DIR: join(cli.folder, 'restored') } };
    const restore = ['ledger', 'restore', 'some.ledger'];
    const soon = { ...there.env, ...armed({ point: 'ledger-migrating' }) };
    const diedSoon = await cli.start(restore, { env: soon }).ended;
    assert.ok(diedSoon.signal === 'SIGKILL', tell(diedSoon));
    for (const command of [['status'], ['run', file]])
      assert.match(exits(await cli.run(command, there), 3).stderr, /\[LEDGER_INCOMPLETE\]/);
    const env = { ...there.env, ...armed({ point: 'tables-copied' }) };
    const died = await cli.start(restore, { env }).ended;
    assert.ok(died.signal === 'SIGKILL', tell(died));
    assert.match(exits(await cli.run(['status'], there), 3).stderr, /\[LEDGER_INCOMPLETE\]/);
    exits(await cli.run(['run', file], there), 3);

    exits(await cli.run(restore, there), 0);
    exits(await cli.run(restore, there), 3);
    assert.equal(
      exits(await cli.run(['export', 'some'], there), 0).stdout,
      exits(await cli.run(['export', 'some']), 0).stdout,
    );
    assert.match(exits(await cli.run(['verify'], there), 0).stdout, /every invariant holds/);
    assert.deepEqual(
      (await readdir(join(cli.folder, 'restored', 'journal'))).filter((name) => name.endsWith('.jsonl')),
      (await readdir(join(cli.folder, '.vidbatch', 'journal'))).filter((name) => name.endsWith('.jsonl')),
    );
  });

  it('that is damaged or cut is refused before anything is written; a full disk leaves no file', async () => {
    const cli = await open();
    exits(await cli.run(['submit', await cli.write('some.csv', csvOf(3, 'some'))]), 0);
    const limited = cli.start(['ledger', 'backup', 'full.ledger'], {
      program: ['sh', '-c', `trap '' XFSZ; ulimit -S -f 1; exec "$@"`, 'sh', ...VIDBATCH],
    });
    exits(await limited.ended, 1);
    assert.deepEqual(
      (await readdir(cli.folder)).filter((name) => name.startsWith('full')),
      [],
    );
    const backup = join(cli.folder, 'b.ledger');
    exits(await cli.run(['ledger', 'backup', 'b.ledger']), 0);
    const whole = await readFile(backup);
    const there = { env: { VIDBATCH_DATA_DIR: join(cli.folder, 'restored') } };
    const refused = async (): Promise<void> => {
      const { stderr } = exits(await cli.run(['ledger', 'restore', 'b.ledger'], there), 1);
      assert.match(stderr, /is not a whole backup of a ledger: .*\[BACKUP_DAMAGED\]/);
    };
    await truncate(backup, whole.length - 20);
    await refused();
    await writeFile(backup, whole.fill(0, 1000, 1008));
    await refused();
    await writeFile(backup, 'id,model,prompt\n');
    await refused();
    await rename(backup, `${backup}.gone`);
    assert.match(exits(await cli.run(['ledger', 'restore', 'b.ledger'], there), 2).stderr, /\[NO_BACKUP\]/);
    assert.equal((await readdir(cli.folder)).includes('restored'), false);
  });
});
