import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { countsOf, exits, LAUNCHER, lastLine, openCli, VIDBATCH, type Cli } from '../cli.ts';
import { closed, listen } from '../provider/server.ts';
import { createDatabase, servers } from '../servers.ts';
import { until } from '../until.ts';
import { startHolding, type HoldingProvider } from './holding.ts';
import { csvOf } from './manifest.ts';

const ROWS = 9;
const CONCURRENCY = 4;

describe('a run', async () => {
  const shared = await servers();
  const closers: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const close of closers.toReversed()) await close();
  });

  async function scene(
    ledger: 'embedded' | 'postgres' = 'postgres',
  ): Promise<{ cli: Cli; file: string; provider: HoldingProvider }> {
    const [provider, database] = await Promise.all([startHolding(), createDatabase(shared)]);
    const cli = await openCli(
      {
        VIDBATCH_BASE_URL: provider.url,
        VIDBATCH_API_KEY: 'sk-e2e',
        VIDBATCH_CONCURRENCY: String(CONCURRENCY),
        ...(ledger === 'postgres' ? { DATABASE_URL: database.url } : {}),
      },
      { ledger: ledger === 'embedded' },
    );
    closers.push(database.drop, provider.close, cli.close);
    return { cli, provider, file: await cli.write('hup.csv', csvOf(ROWS, 'hup')) };
  }

  const counted = async (cli: Cli): Promise<Record<string, number>> =>
    countsOf(exits(await cli.run(['status', 'hup', '--json']), 0));

  it('that gets SIGHUP records the rows in flight, and ends with 129; a second signal changes nothing', async () => {
    const { cli, provider, file } = await scene('embedded');
    const run = cli.start(['run', file]);
    await provider.waiting(CONCURRENCY);
    run.kill('SIGHUP');
    await run.says(/"event":"stopping"/);
    run.kill('SIGHUP');
    provider.release();
    exits(await run.ended, 129);
    const { submitted, uncertain, submitting, pending } = await counted(cli);
    const sent = provider.prompts.length;
    assert.deepEqual(
      { submitted, uncertain, submitting, pending },
      {
        submitted: sent,
        uncertain: 0,
        submitting: 0,
        pending: ROWS - sent,
      },
    );
  });

  const starts: [name: string, program: string[], env: Record<string, string>][] = [
    ['by its launcher', ['nohup', LAUNCHER], {}],
    [
      'through Node, by a shell that names what it starts',
      ['bash', '-c', 'nohup "$@"', 'bash', ...VIDBATCH],
      {},
    ],
  ];
  for (const [name, program, env] of starts) {
    it(`under nohup continues after SIGHUP: started ${name}`, async () => {
      const { cli, provider, file } = await scene();
      const run = cli.start(['run', file], { program, env });
      await provider.waiting(CONCURRENCY);
      run.kill('SIGHUP');
      let over = false;
      void run.ended.then(() => (over = true));
      await until(() => {
        provider.release();
        return over;
      });
      const ended = exits(await run.ended, 0);
      assert.equal(lastLine(ended), `${ROWS} rows · ${ROWS} task ids · paid twice: none known`);
    });
  }

  it('whose terminal is closed records what is in flight', async () => {
    const { cli, provider, file } = await scene();
    const pidFile = join(cli.folder, 'pid');
    const words = [...VIDBATCH, 'run', file, '--yes'].map((word) => `'${word}'`).join(' ');
    const command = `echo $$ > '${pidFile}'; exec ${words}`;
    // It holds the other end of the terminal.
    const terminal = cli.start([], { program: ['script', '-qfc', command, '/dev/null'] });
    await provider.waiting(CONCURRENCY);
    const pid = Number(await readFile(pidFile, 'utf8'));
    terminal.kill('SIGKILL');
    await terminal.ended;
    provider.release();
    await until(() => !isAlive(pid));
    const { submitted, uncertain, submitting } = await counted(cli);
    assert.deepEqual(
      { submitted, uncertain, submitting },
      { submitted: provider.prompts.length, uncertain: 0, submitting: 0 },
    );
  });

  it('that is interrupted while it opens its ledger says that nothing was done', async (t) => {
    const connected = Promise.withResolvers<void>();
    const silent = createServer(() => connected.resolve());
    const port = await listen(silent);
    t.after(() => closed(silent));
    const { cli, provider, file } = await scene();
    const run = cli.start(['run', file], { env: { DATABASE_URL: `postgres://u@127.0.0.1:${port}/d` } });
    await connected.promise;
    run.kill('SIGINT');
    const { stderr } = exits(await run.ended, 130);
    assert.match(
      stderr,
      /interrupted: no manifest was submitted, and nothing was sent; the same command starts again/,
    );
    assert.equal(provider.prompts.length, 0);
  });

  it('that is interrupted while it reads its manifest says what is in the ledger', async () => {
    const { cli, provider } = await scene();
    const pipe = join(cli.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const program = ['sh', '-c', 'exec "$@" < "$0"', pipe, ...VIDBATCH];
    const run = cli.start(['run', '-', '--format', 'csv', '--batch', 'piped'], { program });
    const writer = await open(pipe, 'w');
    // More than a pipe holds: it is written when the manifest is being read.
    await writer.writeFile(csvOf(3000, 'a long prompt that fills the pipe '.repeat(4)));
    run.kill('SIGINT');
    await writer.close();
    const { stderr } = exits(await run.ended, 130);
    assert.match(
      stderr,
      /interrupted: piped is submitted \(3,000 rows\), and this command sent nothing; the same command/,
    );
    assert.equal(provider.prompts.length, 0);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
