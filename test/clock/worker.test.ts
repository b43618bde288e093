import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sweep } from '../../src/ledger/send/sweep.ts';
import { exits, lastLine } from '../cli.ts';
import { openCrashCli, stops, type CrashCli } from '../crash/crash-cli.ts';
import { csvOf, paidTwice } from '../e2e/manifest.ts';
import { startSimulatorProcess, type SimulatorProcess } from '../e2e/simulator.ts';
import { shifted } from './shift.ts';

const HOUR = 3_600_000;

describe('a worker whose clock is wrong, or that is suspended', () => {
  let simulator: SimulatorProcess;
  let cli: CrashCli;

  before(async () => {
    simulator = await startSimulatorProcess();
    cli = await openCrashCli('redis+postgres', simulator);
  });
  after(async () => {
    await cli.close();
    await simulator.close();
  });

  const manifest = (name: string, rows: number): Promise<string> =>
    cli.write(`${name}.csv`, csvOf(rows, name));
  const paid = (name: string): number =>
    simulator.accepted().filter(({ body }) => body.prompt.includes(` ${name}-`)).length;
  /** Of the attempts of a batch, in their order. */
  const outcomes = (batch: string): Promise<(string | null)[]> =>
    cli.ledger(async (db) => {
      const { rows } = await db.query<{ outcome: string | null }>(
        `select a.outcome from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
           join vidbatch.batch b on b.id = s.batch_id where b.name = $1 order by s.line, a.number`,
        [batch],
      );
      return rows.map(({ outcome }) => outcome);
    });
  const states = (batch: string): Promise<Record<string, number>> =>
    cli.ledger(async (db) => {
      const { rows } = await db.query<{ state: string; rows: number }>(
        `select s.state, count(*)::int as rows from vidbatch.submission s
           join vidbatch.batch b on b.id = s.batch_id where b.name = $1 group by 1`,
        [batch],
      );
      return Object.fromEntries(rows.map((row) => [row.state, row.rows]));
    });

  for (const [name, shift] of [
    ['its wall clock jumps an hour forward', { jumpMs: HOUR }],
    ['its event loop stands still for longer than five seconds', { blockMs: 5_200 }],
  ] as const) {
    it(`does not send what it has claimed before ${name}, and sends it after a new claim`, async () => {
      const batch = 'jumpMs' in shift ? 'jumped' : 'blocked';
      const file = await manifest(batch, 1);
      const ended = await cli.run(['run', file], { env: shifted({ at: 'claimed', ...shift }) });
      assert.match(ended.stderr, /^shifted at claimed$/m);
      exits(ended, 0);
      assert.deepEqual(await outcomes(batch), ['not-sent', 'accepted']);
      assert.equal(paid(batch), 1);
    });
  }

  it('sends what it has claimed before its wall clock jumps an hour back', async () => {
    const file = await manifest('back', 1);
    exits(await cli.run(['run', file], { env: shifted({ at: 'claimed', jumpMs: -HOUR }) }), 0);
    assert.deepEqual(await outcomes('back'), ['accepted']);
  });

  it('records the answer that it finds when it wakes up long after its row was judged', async () => {
    const file = await manifest('asleep', 1);
    const running = await stops(cli, { point: 'sent' }, ['run', file]);
    await cli.later();
    assert.equal(await cli.ledger((db) => sweep(db)), 1);
    assert.deepEqual(await states('asleep'), { uncertain: 1 });

    running.kill('SIGCONT');
    const ended = exits(await running.ended, 0);
    assert.equal(lastLine(ended), '1 row · 1 task id · paid twice: none known');
    assert.deepEqual(await outcomes('asleep'), ['accepted']);
    assert.equal(paid('asleep'), 1);
  });

  it('shares a batch with another one: four seconds ahead here, four behind there', async () => {
    await simulator.addRule({ fault: 'throttle', match: { prompt: 'skewed-20', times: 1 } });
    const file = await manifest('skewed', 100);
    exits(await cli.run(['submit', file]), 0);
    const ended = await Promise.all(
      [4_000, -4_000].map((aheadMs) => cli.run(['work', '--drain'], { env: shifted({ aheadMs }) })),
    );
    for (const one of ended) exits(one, 0);
    assert.deepEqual(await states('skewed'), { submitted: 100 });
    assert.equal(paid('skewed'), 100);
    assert.deepEqual(paidTwice(simulator.accepted()), []);
  });

  it("is refused at its start when its clock is ten seconds off the database's", async () => {
    const file = await manifest('off', 1);
    const ended = exits(await cli.run(['run', file], { env: shifted({ aheadMs: -10_000 }) }), 2);
    assert.match(ended.stderr, /this machine's clock is -(9\.\d|10\.\d) s off the database's; at most 5 s/);
    assert.match(ended.stderr, /\[CLOCK_SKEW\]/);
    assert.equal(paid('off'), 0);
  });
});
