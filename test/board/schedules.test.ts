import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { pauseBy } from '../../src/ledger/operator/pause.ts';
import { listSchedules } from '../../src/ledger/schedules/schedules.ts';
import { openMirror } from '../../src/schedule/mirror.ts';
import type { SeenSchedule } from '../../src/schedule/view.ts';
import { scheduleQueue } from '../../src/worker/queue/name.ts';
import { until } from '../until.ts';
import { addNightly, get, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

suite('schedules on the board', () => {
  let fixture: BoardFixture;

  before(async () => {
    fixture = await openBoardFixture();
    const { db } = fixture.app;
    const batchId = await fixture.submit('nightly@20261122T230000+0800', { a: 'a night market', b: 'a <b>' });
    const { id } = await addNightly(fixture, { manifest: '/jobs/<nightly>.csv' });
    await db.query(
      `insert into vidbatch.run (schedule_id, tick, batch, due_at, state, batch_id, ended_at)
       values ($1, '2026-11-22T15:00:00Z', 'nightly@20261122T230000+0800', now(), 'made', $2, now())`,
      [id, batchId],
    );
  });
  after(async () => {
    await fixture.close();
  });

  test('have a page with their next ticks and their last batches', async () => {
    const { status, text } = await get(fixture.board, '/schedules');
    assert.equal(status, 200);
    assert.match(text, /0 23 \* \* \* in Asia\/Shanghai · from \/jobs\/&lt;nightly&gt;\.csv/);
    assert.equal(text.match(/T23:00:00\+08:00/g)?.length, 5);
    assert.match(text, /href="\/batches\/nightly%4020261122T230000%2B0800">[^<]+<\/a>: 2 pending/);
    const seen = JSON.parse((await get(fixture.board, '/api/schedules')).text) as SeenSchedule[];
    assert.deepEqual(
      seen.map(({ name, last }) => [name, last?.counts?.pending]),
      [['nightly', 2]],
    );
  });

  test('are shown among the queues with their next tick, and their buttons do nothing', async () => {
    const { app, board } = fixture;
    const mirror = openMirror(app, silent);
    await pauseBy(app.db, 'a test', undefined);
    try {
      await mirror.show(await listSchedules(app.db));
      const queue = scheduleQueue(app.ledgerId);
      const asked = `/queues/api/queues?activeQueue=${queue}&page=1&jobsPerPage=10`;
      await until(async () => (await get(board, asked)).text.includes('"schedule":"nightly"'));
      const { queues } = JSON.parse((await get(board, asked)).text) as {
        queues: {
          name: string;
          displayName: string;
          readOnlyMode: boolean;
          isPaused: boolean;
          jobs: { name: string }[];
        }[];
      };
      const shown = queues.find(({ name }) => name === queue);
      assert.deepEqual([shown?.displayName, shown?.readOnlyMode], ['schedules', true]);
      const paused = queues.filter(({ isPaused }) => isPaused).map(({ displayName }) => displayName);
      assert.deepEqual(paused, ['all batches'], 'a pause stops no schedule');
      assert.deepEqual(
        shown?.jobs.map(({ name }) => name),
        ['nightly'],
      );
    } finally {
      await mirror.close();
    }
  });
});
