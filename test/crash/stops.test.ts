import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { startSimulatorProcess } from '../e2e/simulator.ts';
import type { SimulatorProcess } from '../e2e/simulator.ts';
import { findings } from './findings.ts';
import { openScene, stops } from './scene.ts';
import type { Scene } from './scene.ts';
import { until } from '../until.ts';
import { sleepThrough, STOPS } from './stop.ts';
import type { Woken } from './stop.ts';

describe(
  'a process that stands still for longer than its deadline, and wakes up',
  { concurrency: true },
  () => {
    let simulator: SimulatorProcess;
    before(async () => {
      simulator = await startSimulatorProcess();
    });
    after(() => simulator.close());

    describe('on redis+postgres, while another worker goes on', { concurrency: false }, () => {
      let scene: Scene;
      let woken: Woken;
      before(async () => {
        scene = await openScene('redis+postgres', simulator);
        woken = await sleepThrough(scene, STOPS);
      });
      after(() => scene.close());

      for (const { point, mayStayUnknown } of STOPS) {
        it(`at ${point}: each row is paid once, and its answer is recorded however late it comes`, () => {
          const { wrong = [], unknown = [] } = woken.get(point) ?? {};
          assert.deepEqual(wrong, []);
          assert.ok(unknown.length <= (mayStayUnknown === true ? 1 : 0), unknown.join(', '));
        });
      }

      for (const { point } of STOPS.filter(({ calledNotSent }) => calledNotSent === true)) {
        it(`at ${point}: it does not send`, async () => {
          const { rows } = await scene.ledger((db) =>
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
      const scene = await openScene('redis+postgres', simulator);
      try {
        exits(await scene.run(['submit', await scene.manifest('stalled')]), 0);
        const asleep = await stops(scene, { point: 'claimed', time: 2 }, ['work']);
        const other = scene.start(['work']);
        await until(async () => (await scene.stalled()) > 0);
        await scene.later();
        asleep.kill('SIGCONT');
        await Promise.all([asleep, other].map((worker) => worker.says(/"event":"started"/)));
        for (const worker of [asleep, other]) worker.kill('SIGTERM');
        for (const worker of [asleep, other]) exits(await worker.ended, 0);
        exits(await scene.run(['work', '--drain']), 0);
        const found = await findings(scene, ['stalled']);
        assert.deepEqual(found.get('stalled'), {
          wrong: [],
          unknown: [],
          states: { submitted: 5, rejected: 1 },
        });
      } finally {
        await scene.close();
      }
    });

    describe('on embedded, whose folder it holds', { concurrency: false }, () => {
      let scene: Scene;
      before(async () => {
        scene = await openScene('embedded', simulator);
      });
      after(() => scene.close());

      it('a second terminal says who holds the folder; the row is not sent under its old claim, but under a new one', async () => {
        const file = await scene.manifest('held');
        const holder = await stops(scene, { point: 'claimed', time: 2 }, ['run', file]);
        // It waits 15 s for an answer; more than 5 s after its claim, nothing may leave.
        const { stderr } = exits(await scene.run(['status']), 1);
        assert.match(
          stderr,
          new RegExp(`is held by process ${holder.pid}, which does not answer.*FOLDER_HELD`),
        );
        holder.kill('SIGCONT');
        exits(await holder.ended, 4);
        const found = await findings(scene, ['held']);
        assert.deepEqual(found.get('held'), {
          wrong: [],
          unknown: [],
          states: { submitted: 5, rejected: 1 },
        });
      });

      it('a second terminal that dies in the middle of its transaction holds nobody up', async () => {
        const file = await scene.manifest('guest');
        const holder = scene.start(['work']);
        await holder.says(/"event":"started"/);
        await scene.dies({ point: 'rows-merged' }, ['submit', file]);
        exits(await scene.run(['submit', file]), 0);
        await Promise.all([holder.says(/"event":"accepted"/, 5), holder.says(/"event":"rejected"/)]);
        holder.kill('SIGTERM');
        exits(await holder.ended, 0);
        const found = await findings(scene, ['guest']);
        assert.deepEqual(found.get('guest'), {
          wrong: [],
          unknown: [],
          states: { submitted: 5, rejected: 1 },
        });
      });
    });
  },
);
