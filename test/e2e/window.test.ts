import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Pool } from 'pg';
import { WINDOW_MS } from '../../src/core/states.ts';
import { ledgerNow } from '../../src/ledger/send/window.ts';
import { setOffPeakWindow } from '../../src/ledger/send/window-change.ts';
import { exits, json, lastLine, openCli, type Running } from '../cli.ts';
import { shifted } from '../clock/shift.ts';
import { windowAt } from '../contract/rows.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const HOUR = 3_600_000;

function offPeakCsv(rows: number, prefix: string): string {
  return csvOf(rows, prefix).replaceAll('viduq3p-720p', 'viduq3t-720p-offpeak');
}

/** `HH:MM:SS` of a moment, in UTC. */
function timeOf(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

/** A window of ten minutes that opens so much later, by a clock that is so far ahead. */
function opensIn(ms: number, aheadMs = 0): string {
  const from = Date.now() + aheadMs + ms;
  // A whole minute is written without its seconds.
  const opens = from % 60_000 < 1_000 ? from + 1_000 : from;
  return `${timeOf(opens)}-${timeOf(opens + 600_000)} UTC`;
}

/** Resolves once so many rows were accepted by these workers together, as they say. */
function acceptedBy(workers: readonly Running[], rows: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let total = 0;
  const count = async (worker: Running): Promise<void> => {
    for (let line = 1; total < rows; line += 1) {
      await worker.says(/"event":"accepted"/, line);
      total += 1;
    }
    resolve();
  };
  for (const worker of workers) count(worker).catch(reject);
  return promise;
}

/** More than two of the windows can take at this rate, whatever the machine: the third has its share, too. */
const ROWS = 500;
const RATE = '110/s';

describe('off-peak rows that need three short windows', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  const db = new Pool({ connectionString: cli.databaseUrl, max: 1 });
  after(async () => {
    await db.end();
    await cli.close();
  });

  it('are accepted inside of them alone, in each of them, each once', async () => {
    const file = await cli.write('night.csv', offPeakCsv(ROWS, 'night'));
    exits(await cli.run(['migrate']), 0);
    const workers = [1, 2].map(() => cli.start(['work', '--rate', RATE, '--concurrency', '16']));
    for (const worker of workers) await worker.says(/"event":"started"/);
    const shut = await windowAt(db, [HOUR, 2 * HOUR]);
    await setOffPeakWindow(db, shut);
    exits(await cli.run(['submit', file]), 0);
    assert.equal((await simulator.stats()).creates, 0);

    const now = await ledgerNow(db);
    // Windows open and shut at whole seconds: between two of them is a second at least.
    const spans: [number, number][] = [
      [500, 2300 + WINDOW_MS],
      [3800 + WINDOW_MS, 5600 + 2 * WINDOW_MS],
      [7100 + 2 * WINDOW_MS, 3 * HOUR],
    ];
    const windows = await windowAt(db, ...spans);
    // The windows are counted from a moment between these two.
    const tookMs = (await ledgerNow(db)) - now;
    await setOffPeakWindow(db, windows);
    await acceptedBy(workers, ROWS);

    const accepted = simulator.accepted();
    assert.equal(accepted.length, ROWS);
    assert.deepEqual(paidTwice(accepted), []);
    // A request leaves within five seconds of its claim; how long it takes to arrive depends on the machine.
    const { rows: claims } = await db.query<{ at: Date }>(
      `select claimed_at as at from vidbatch.attempt where outcome = 'accepted'`,
    );
    const late = spans.map(([from, to]) => {
      const inside = claims.filter(({ at }) => +at >= now + from && +at <= now + tookMs + to - WINDOW_MS);
      return { rows: inside.length };
    });
    assert.equal(
      late.reduce((sum, { rows }) => sum + rows, 0),
      ROWS,
      `claimed outside: ${JSON.stringify(late)}`,
    );
    assert.ok(
      late.every(({ rows }) => rows > 0),
      `each has its share: ${JSON.stringify(late)}`,
    );
    assert.ok(Math.min(...accepted.map(({ at }) => at)) >= now + 500, 'nothing before the first opens');
    for (const worker of workers) worker.kill('SIGTERM');
    for (const worker of workers) exits(await worker.ended, 0);
  });
});

describe('a window', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('ends run --no-wait with 6 and work --drain with 0, and is shown by every command', async () => {
    const file = await cli.write('shut.csv', offPeakCsv(3, 'shut'));
    const ended = exits(await cli.run(['run', file, '--no-wait', '--offpeak-window', opensIn(5 * HOUR)]), 6);
    assert.match(
      ended.stderr,
      /^shut: window: 3 off-peak rows wait for their window .*: it opens at 20\S+ \S+ UTC\S* \(in [45]h/m,
    );
    exits(await cli.run(['work', '--drain']), 0);
    const { gates, counts } = json(exits(await cli.run(['status', 'shut', '--json']), 0)) as {
      gates: { gate: string; opensAt: string }[];
      counts: Record<string, number>;
    };
    assert.equal(counts['pending'], 3);
    assert.deepEqual(
      gates.map(({ gate }) => gate),
      ['window'],
    );
    assert.ok(Date.parse(gates[0]?.opensAt ?? '') > Date.now() + 4 * HOUR);
    const explained = exits(await cli.run(['explain', 'shut', 'shut-1']), 0).stdout;
    assert.match(explained, /^waiting {2}window: .*it opens at/m);
    assert.match(explained, /^next {5}nothing: it is sent when its gates are open/m);
    assert.equal(simulator.accepted().length, 0);
    const went = exits(await cli.run(['run', file, '--offpeak-window', 'none']), 0);
    assert.equal(lastLine(went), '3 rows · 3 task ids · paid twice: none known');
  });

  it('of a batch stays until a submit changes it, with an entry in the event log', async () => {
    const file = await cli.write('own.csv', csvOf(2, 'own'));
    const sent = simulator.accepted().length;
    exits(await cli.run(['submit', file, '--window', opensIn(5 * HOUR)]), 0);
    exits(await cli.run(['run', file, '--no-wait']), 6);
    assert.equal(simulator.accepted().length, sent);
    exits(await cli.run(['run', file, '--window', '00:00-24:00 UTC']), 0);
    assert.equal(simulator.accepted().length, sent + 2);
    const db = new Pool({ connectionString: cli.databaseUrl, max: 1 });
    const { rows } = await db.query<{ detail: string }>(
      `select detail from vidbatch.event_log where event in ('window', 'offpeak-window') order by id`,
    );
    await db.end();
    const changes = rows.map(({ detail }) => detail.replaceAll(/\d\d:\d\d:\d\d/g, 'T'));
    assert.match(changes[0] ?? '', /^none → T-T UTC, by /);
    assert.match(changes[1] ?? '', /^T-T UTC → none, by /);
    assert.deepEqual(changes.slice(2), ['none → T-T UTC', 'T-T UTC → 00:00-24:00 UTC']);
  });

  it('that cannot be read is refused in one line, before anything is done', async () => {
    const file = await cli.write('wrong.csv', csvOf(1, 'wrong'));
    const wrong = ['run', file, '--offpeak-window', '23:00-07:00 Asia/Shangai'];
    const { stderr } = exits(await cli.run(wrong), 2);
    assert.match(stderr, /^vidbatch: --offpeak-window: .*did you mean Asia\/Shanghai\?.*\[BAD_WINDOW\]\n$/);
    const wrongEnv = { env: { VIDBATCH_WINDOW: '23:00-23:00 UTC' } };
    assert.match(exits(await cli.run(['submit', file], wrongEnv), 2).stderr, /--window: .*is never open/);
  });
});

describe('an embedded ledger, whose clock is the worker’s', async () => {
  const simulator = await startSimulatorProcess();
  const here = await openCli(
    { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-window' },
    { ledger: true },
  );
  after(async () => {
    await here.close();
    await simulator.close();
  });

  it('lets run wait for the window, and send the rows when it opens', async () => {
    const file = await here.write('waits.csv', offPeakCsv(20, 'waits'));
    const running = here.start(['run', file, '--offpeak-window', opensIn(5 * HOUR)], {
      env: shifted({ jumpMs: 5 * HOUR + 5000 }),
    });
    await running.says(/"event":"later","until":"20 off-peak rows wait for their window .* in [45]h/);
    running.kill('SIGUSR2');
    const ended = exits(await running.ended, 0);
    assert.match(ended.stderr, /"event":"offpeak-window".*for all workers of this ledger/);
    assert.ok(ended.stderr.indexOf('shifted at') < ended.stderr.indexOf('"event":"accepted"'));
    assert.equal(lastLine(ended), '20 rows · 20 task ids · paid twice: none known');
    assert.deepEqual(paidTwice(simulator.accepted()), []);
  });
});
