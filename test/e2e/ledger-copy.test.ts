import assert from 'node:assert/strict';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { countsOf, exits, json, openCli, type Cli, type Ended } from '../cli.ts';
import { armed } from '../crash/arm.ts';
import { createDatabase, servers } from '../servers.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const ROWS = 60;
const PROVIDER_KEY = 'sk-e2e';

interface Copied {
  to: string;
  journals: number;
  again: boolean;
  tables: { name: string; rows: number }[];
}

/** One after the other: a second process would lose the one that holds the folder. */
const exported = async (cli: Cli, env: Record<string, string>): Promise<string[]> => [
  exits(await cli.run(['export', 'moved'], { env }), 0).stdout,
  exits(await cli.run(['export', 'odd'], { env }), 0).stdout,
];

const rowsOf = (ended: Ended): number =>
  (json(ended) as Copied).tables.find(({ name }) => name === 'row_state')?.rows ?? 0;

describe('a ledger that is copied', async () => {
  const shared = await servers();

  it('to Postgres and to a folder keeps every row; each row is paid once, and only the last copy sends', async () => {
    const simulator = await startSimulatorProcess();
    const database = await createDatabase(shared);
    const cli = await openCli(
      { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: PROVIDER_KEY },
      { ledger: true },
    );
    after(() => Promise.all([cli.close(), simulator.close(), database.drop()]));
    const server = { DATABASE_URL: database.url };
    const folder = { VIDBATCH_DATA_DIR: join(cli.folder, 'moved') };
    const file = await cli.write('moved.csv', csvOf(ROWS, 'moved'));

    // Uncertain rows, a budget, a schedule, a paused batch, and a worker that dies with answers in its journal.
    for (const n of [1, 2]) {
      await simulator.addRule({ fault: 'reset-in-answer:created', match: { prompt: `the shot odd-${n}` } });
    }
    const odd = await cli.write('odd.csv', csvOf(6, 'odd'));
    exits(
      await cli.run(['run', odd, '--concurrency', '1', '--budget', '900CNY', '--prices', await prices(cli)]),
      5,
    );
    exits(
      await cli.run(['schedule', 'add', 'nightly', odd, '--cron', '0 3 * * *', '--tz', 'Asia/Shanghai']),
      0,
    );
    exits(await cli.run(['pause', 'odd']), 0);
    const running = cli.start(['run', file, '--concurrency', '1'], {
      env: armed({ point: 'answer-journaled', time: ROWS / 2 }),
    });
    await running.ended;
    const half = simulator.accepted().length;
    assert.ok(half < ROWS, `${half} were sent before the worker died`);

    const copied = exits(await cli.run(['ledger', 'copy', '--to', database.url, '--json']), 0);
    assert.equal(rowsOf(copied), ROWS + 6);
    assert.deepEqual(await exported(cli, server), await exported(cli, {}));
    assert.match(exits(await cli.run(['verify'], { env: server }), 0).stdout, /every invariant holds/);

    const refused = exits(await cli.run(['run', file]), 3);
    assert.match(refused.stderr, /it was copied to Postgres at .*, and the copy sends now \[LEDGER_COPIED\]/);
    exits(await cli.run(['submit', await cli.write('new.csv', csvOf(1, 'new'))]), 3);
    assert.match(exits(await cli.run(['status']), 0).stderr, /sends nothing: it was copied to Postgres/);
    assert.match(
      (await cli.run(['doctor'])).stdout,
      /^failed +gates: the ledger sends nothing: it was copied/m,
    );
    const decisions = [
      ['cancel', 'moved', '--yes'],
      ['pause'],
      ['pause', '--model', 'viduq3p-720p'],
      ['resume', 'odd'],
      ['priority', 'moved', '5'],
      ['retry', 'moved', '--yes'],
      ['resolve', 'odd', '--abandon', '--all', '--reason', 'lost', '--yes'],
      ['schedule', 'trigger', 'nightly'],
    ];
    for (const one of decisions)
      assert.match(
        exits(await cli.run(one), 3).stderr,
        /the copy sends now \[LEDGER_COPIED\]/,
        one.join(' '),
      );
    assert.equal(simulator.accepted().length, half, 'the original has sent nothing more');

    const rest = exits(await cli.run(['run', file, '--json'], { env: server }), 0);
    assert.equal(countsOf(rest)['submitted'], ROWS);
    const back = exits(
      await cli.run(['ledger', 'copy', '--to', folder.VIDBATCH_DATA_DIR, '--json'], { env: server }),
      0,
    );
    assert.ok((json(back) as Copied).journals > 0);
    assert.deepEqual(await exported(cli, folder), await exported(cli, server));
    assert.match(exits(await cli.run(['verify'], { env: folder }), 0).stdout, /every invariant holds/);
    exits(await cli.run(['run', file], { env: server }), 3);
    exits(await cli.run(['resume', 'odd'], { env: folder }), 0);
    exits(await cli.run(['run', file], { env: folder }), 0);
    assert.match(exits(await cli.run(['schedule', 'list'], { env: folder }), 0).stdout, /nightly/);
    assert.deepEqual(paidTwice(simulator.accepted()), []);
    assert.equal(simulator.accepted().length, ROWS + 6);
  });

  it('is refused, and nothing is written, where it would end beside or in another ledger', async () => {
    const [database, other] = [await createDatabase(shared), await createDatabase(shared)];
    const cli = await openCli(
      { VIDBATCH_BASE_URL: 'http://127.0.0.1:9', VIDBATCH_API_KEY: PROVIDER_KEY },
      { ledger: true },
    );
    after(() => Promise.all([cli.close(), database.drop(), other.drop()]));
    const copy = (to: string, env: Record<string, string> = {}): Promise<Ended> =>
      cli.run(['ledger', 'copy', '--to', to], { env });
    exits(await cli.run(['submit', await cli.write('some.csv', csvOf(3, 'some'))]), 0);
    const elsewhere = { VIDBATCH_DATA_DIR: join(cli.folder, 'elsewhere') };
    exits(await cli.run(['migrate'], { env: { DATABASE_URL: other.url, ...elsewhere } }), 0);

    assert.match(exits(await cli.run(['ledger', 'copy']), 2).stderr, /\[NO_TARGET\]/);
    assert.match(
      exits(await copy(join(cli.folder, '.vidbatch')), 2).stderr,
      /this ledger itself \[SAME_LEDGER\]/,
    );
    assert.match(
      exits(await copy('postgres://u:secret#1@h/d'), 2).stderr,
      /^vidbatch: --to is not a URL \[BAD_URL\]/,
    );
    assert.match(exits(await copy(other.url), 3).stderr, /holds another ledger; nothing was copied/);
    assert.match(exits(await copy(cli.folder), 3).stderr, /holds other files.*\[TARGET_NOT_EMPTY\]/);
    const open = join(cli.folder, 'open');
    await mkdir(open);
    await chmod(open, 0o777);
    assert.match(exits(await copy(open), 1).stderr, /all users can write in it .*\[UNSAFE_FOLDER\]/);
    assert.match(
      exits(await copy(join(cli.folder, 'new'), { DATABASE_URL: database.url }), 2).stderr,
      /has no ledger .*\[NO_LEDGER\]/,
    );
    const status = exits(await cli.run(['status']), 0);
    assert.doesNotMatch(status.stderr + status.stdout, /sends nothing/, 'the ledger is still open');
    const reopened = exits(await cli.run(['ledger', 'reopen', '--json']), 0);
    assert.deepEqual(json(reopened), { reopened: null });
  });

  it('is not replaced by a new one on a server, although its journals are gone', async () => {
    const simulator = await startSimulatorProcess();
    const database = await createDatabase(shared);
    const cli = await openCli(
      { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: PROVIDER_KEY },
      { ledger: true },
    );
    after(() => Promise.all([cli.close(), simulator.close(), database.drop()]));
    const server = { env: { DATABASE_URL: database.url } };
    const file = await cli.write('kept.csv', csvOf(3, 'kept'));
    exits(await cli.run(['run', file]), 0);
    // As a month later.
    await rm(join(cli.folder, '.vidbatch', 'journal'), { recursive: true });
    for (const command of [['run', file], ['submit', file], ['migrate']]) {
      assert.match(exits(await cli.run(command, server), 3).stderr, /\[LEDGER_IN_FOLDER\]/);
    }
    exits(await cli.run(['ledger', 'copy', '--to', database.url]), 0);
    exits(await cli.run(['run', file], server), 0);
    assert.equal(simulator.accepted().length, 3);
  });

  it('is not copied while a worker works on it, on a server or in a folder; the worker continues', async () => {
    const simulator = await startSimulatorProcess();
    const database = await createDatabase(shared);
    const cli = await openCli({ VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: PROVIDER_KEY });
    after(() => Promise.all([cli.close(), simulator.close(), database.drop()]));
    const file = await cli.write('live.csv', csvOf(1, 'live'));
    const folder = { VIDBATCH_DATA_DIR: join(cli.folder, 'alone') };
    for (const env of [{ DATABASE_URL: database.url }, folder] as Record<string, string>[]) {
      const worker = cli.start(['work'], { env });
      await worker.says(/"event":"started"/);
      const refused = await cli.run(['ledger', 'copy', '--to', join(cli.folder, 'copy')], { env });
      if (env['DATABASE_URL'] === undefined) assert.match(exits(refused, 1).stderr, /\[FOLDER_HELD\]/);
      else {
        assert.match(exits(refused, 3).stderr, /a process still writes .*\[LEDGER_IN_USE\]/);
        const elsewhere = { ...env, VIDBATCH_DATA_DIR: join(cli.folder, 'another-machine') };
        const again = await cli.run(['ledger', 'copy', '--to', join(cli.folder, 'copy')], { env: elsewhere });
        assert.match(exits(again, 3).stderr, /1 worker is alive: process \d+ .*\[LEDGER_IN_USE\]/);
      }
      exits(await cli.run(['submit', file, '--again'], { env }), 0);
      await worker.says(/"event":"accepted"/);
      worker.kill('SIGTERM');
      exits(await worker.ended, 0);
    }
    assert.equal(simulator.accepted().length, 2);
  });

  it('sends again only after a person has reopened it', async () => {
    const simulator = await startSimulatorProcess();
    const cli = await openCli(
      { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: PROVIDER_KEY },
      { ledger: true },
    );
    after(() => Promise.all([cli.close(), simulator.close()]));
    const file = await cli.write('again.csv', csvOf(2, 'again'));
    exits(await cli.run(['submit', file]), 0);
    exits(await cli.run(['ledger', 'copy', '--to', join(cli.folder, 'copy')]), 0);
    exits(await cli.run(['resume']), 3);
    exits(await cli.run(['work', '--drain']), 3);
    const asked = exits(await cli.run(['ledger', 'reopen']), 2);
    assert.match(asked.stderr, /If both send, rows are paid twice.*\n.*\[NOT_CONFIRMED\]/);
    assert.equal(simulator.accepted().length, 0);
    exits(await cli.run(['ledger', 'reopen', '--yes']), 0);
    exits(await cli.run(['run', file]), 0);
    assert.equal(simulator.accepted().length, 2);
  });
});

const prices = (cli: Cli): Promise<string> =>
  cli.write('prices.json', JSON.stringify({ 'viduq3p-720p': { perSecond: '0.20', currency: 'CNY' } }));
