import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sweep } from '../../src/ledger/sweep.ts';
import { exits, json, lastLine } from '../cli.ts';
import { openScene, stops } from '../crash/scene.ts';
import type { Scene } from '../crash/scene.ts';
import { csvOf, paidTwice } from '../e2e/manifest.ts';
import { startStandIn } from '../e2e/stand-in.ts';
import type { StandIn } from '../e2e/stand-in.ts';
import { shifted } from './shift.ts';

const HOUR = 3_600_000;

interface Explained {
  attempts: { outcome: string | null }[];
}

describe('a worker whose clock is wrong, or that is held up', { timeout: 100_000 }, () => {
  let standIn: StandIn;
  let scene: Scene;

  before(async () => {
    standIn = await startStandIn();
    scene = await openScene('redis+postgres', standIn);
  });
  after(async () => {
    await scene.close();
    await standIn.close();
  });

  const manifest = (name: string, rows: number): Promise<string> =>
    scene.write(`${name}.csv`, csvOf(rows, name));
  const paid = (name: string): number =>
    standIn.accepted().filter(({ body }) => body.prompt.includes(` ${name}-`)).length;
  const outcomes = async (batch: string, key: string): Promise<unknown[]> => {
    const { attempts } = json(exits(await scene.run(['explain', batch, key, '--json']), 0)) as Explained;
    return attempts.map(({ outcome }) => outcome);
  };

  for (const [name, shift] of [
    ['its wall clock jumps an hour forward', { jumpMs: HOUR }],
    ['its event loop stands still for longer than five seconds', { blockMs: 5_200 }],
  ] as const) {
    it(`does not send what it has claimed before ${name}, and sends it after a new claim`, async () => {
      const batch = 'jumpMs' in shift ? 'jumped' : 'blocked';
      const file = await manifest(batch, 1);
      const ended = await scene.run(['run', file], { env: shifted({ at: 'claimed', ...shift }) });
      assert.match(ended.stderr, /^shifted at claimed$/m);
      exits(ended, 0);
      assert.deepEqual(await outcomes(batch, `${batch}-1`), ['not-sent', 'accepted']);
      assert.equal(paid(batch), 1);
    });
  }

  it('sends what it has claimed before its wall clock jumps an hour back', async () => {
    const file = await manifest('back', 1);
    exits(await scene.run(['run', file], { env: shifted({ at: 'claimed', jumpMs: -HOUR }) }), 0);
    assert.deepEqual(await outcomes('back', 'back-1'), ['accepted']);
  });

  it('records the answer that it finds when it wakes up long after its row was judged', async () => {
    const file = await manifest('asleep', 1);
    const running = await stops(scene, { point: 'sent' }, ['run', file]);
    await scene.later();
    assert.equal(await scene.ledger((db) => sweep(db)), 1);
    const counts = async (): Promise<Record<string, number>> =>
      (json(await scene.run(['status', 'asleep', '--json'])) as { counts: Record<string, number> }).counts;
    assert.equal((await counts())['uncertain'], 1);

    running.kill('SIGCONT');
    const ended = exits(await running.ended, 0);
    assert.equal(lastLine(ended), '1 row · 1 task id · paid twice: none known');
    assert.deepEqual(await outcomes('asleep', 'asleep-1'), ['accepted']);
    assert.equal(paid('asleep'), 1);
  });

  it('shares a batch with another one: four seconds ahead here, four behind there', async () => {
    await standIn.addRule({ fault: 'throttle', match: { prompt: 'skewed-20', times: 1 } });
    const file = await manifest('skewed', 100);
    exits(await scene.run(['submit', file]), 0);
    const ended = await Promise.all(
      [4_000, -4_000].map((aheadMs) => scene.run(['work', '--drain'], { env: shifted({ aheadMs }) })),
    );
    for (const one of ended) exits(one, 0);
    const { counts } = json(await scene.run(['status', 'skewed', '--json'])) as {
      counts: Record<string, number>;
    };
    assert.equal(counts['submitted'], 100);
    assert.equal(paid('skewed'), 100);
    assert.deepEqual(paidTwice(standIn.accepted()), []);
  });

  for (const aheadMs of [10_000, -10_000]) {
    it(`is refused at its start when its clock is ${aheadMs / 1000} s off the database's`, async () => {
      const file = await manifest(`off${aheadMs}`, 1);
      const ended = exits(await scene.run(['run', file], { env: shifted({ aheadMs }) }), 2);
      assert.match(
        ended.stderr,
        /this machine's clock is -?(9\.\d|10\.\d) s off the database's; at most 5 s/,
      );
      assert.match(ended.stderr, /\[CLOCK_SKEW\]/);
      assert.equal(paid(`off${aheadMs}`), 0);
    });
  }
});
