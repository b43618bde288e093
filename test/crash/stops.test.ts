import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { startSimulatorProcess, type SimulatorProcess } from '../e2e/simulator.ts';
import { findings } from './findings.ts';
import { openCrashCli, stops, type CrashCli } from './crash-cli.ts';
import { until } from '../until.ts';
import { sleepThrough, STOPS, type Woken } from './stop.ts';

describe(
  'a process that is suspended for longer than its deadline, and wakes up',
  { concurrency: true },
  () => {
    let simulator: SimulatorProcess;
    before(async () => {
      simulator = await startSimulatorProcess();
    });
    after(() => simulator.close());

    describe('on redis+postgres, while another worker continues', { concurrency: false }, () => {
      let cli: CrashCli;
      let woken: Woken;
      before(async () => {
        cli = await openCrashCli('redis+postgres', simulator);
        woken = await sleepThrough(cli, STOPS);
      });
      after(() => cli.close());

      for (const { point, mayStayUnknown } of STOPS) {
        it(`at ${point}: each row is paid once, and its late answer is recorded`, () => {
          const { wrong = [], unknown = [] } = woken.get(point) ?? {};
          assert.deepEqual(wrong, []);
          assert.ok(unknown.length <= (mayStayUnknown === true ? 1 : 0), unknown.join(', '));
        });
      }

      for (const { point } of STOPS.filter(({ calledNotSent }) => calledNotSent === true)) {
        it(`at ${point}: it does not send`, async () => {
          const { rows } = await cli.ledger((db) =>
            db.query<{ error_code: string }>(
              `select a.error_code from vidbatch.attempt a
               join vidbatch.submission s on s.id = a.submission_id
               join vidbatch.batch b on b.id = s.batch_id
              where b.name = $1 and a.swept_at is not null`,
              [point],
            ),
          );
          assert.deepEqual(rows, [{ error_code: 'STALE_CLAIM' }]);
        });
      }
    });

    it('its job is given to another worker meanwhile: no row is sent twice', async () => {
      const cli = await openCrashCli('redis+postgres', simulator);
      try {
        exits(await cli.run(['submit', await cli.manifest('stalled')]), 0);
        const asleep = await stops(cli, { point: 'claimed', time: 2 }, ['work']);
        const other = cli.start(['work']);
        await until(async () => (await cli.stalled()) > 0);
        await cli.later();
        asleep.kill('SIGCONT');
        await Promise.all([asleep, other].map((worker) => worker.says(/"event":"started"/)));
        for (const worker of [asleep, other]) worker.kill('SIGTERM');
        for (const worker of [asleep, other]) exits(await worker.ended, 0);
        exits(await cli.run(['work', '--drain']), 0);
        const found = await findings(cli, ['stalled']);
        assert.deepEqual(found.get('stalled'), {
          wrong: [],
          unknown: [],
          states: { submitted: 5, rejected: 1 },
        });
      } finally {
        await cli.close();
      }
    });

    describe('on embedded, whose folder it holds', { concurrency: false }, () => {
      let cli: CrashCli;
      before(async () => {
        cli = await openCrashCli('embedded', simulator);
      });
      after(() => cli.close());

      it('a second terminal says which process holds the folder; the row is not sent under its old claim, but under a new one', async () => {
        const file = await cli.manifest('held');
        const holder = await stops(cli, { point: 'claimed', time: 2 }, ['run', file]);
        // It waits 15 s for an answer; more than 5 s after its claim, nothing may leave.
        const { stderr } = exits(await cli.run(['status']), 1);
        assert.match(
          stderr,
          new RegExp(`is held by process ${holder.pid}, which does not answer.*FOLDER_HELD`),
        );
        holder.kill('SIGCONT');
        exits(await holder.ended, 4);
        const found = await findings(cli, ['held']);
        assert.deepEqual(found.get('held'), {
          wrong: [],
          unknown: [],
          states: { submitted: 5, rejected: 1 },
        });
      });

      it('a second terminal that dies in the middle of its transaction blocks no other process', async () => {
        const file = await cli.manifest('guest');
        const holder = cli.start(['work']);
        await holder.says(/"event":"started"/);
        await cli.dies({ point: 'rows-merged' }, ['submit', file]);
        exits(await cli.run(['submit', file]), 0);
        await Promise.all([holder.says(/"event":"accepted"/, 5), holder.says(/"event":"rejected"/)]);
        holder.kill('SIGTERM');
        exits(await holder.ended, 0);
        const found = await findings(cli, ['guest']);
        assert.deepEqual(found.get('guest'), {
          wrong: [],
          unknown: [],
          states: { submitted: 5, rejected: 1 },
        });
      });
    });
  },
);
