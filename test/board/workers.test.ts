import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { listSchedules } from '../../src/ledger/schedules/schedules.ts';
import { openMirror } from '../../src/schedule/mirror.ts';
import { queueName, scheduleQueue } from '../../src/worker/queue/name.ts';
import { createDatabase, servers, type OwnDatabase, type Servers } from '../servers.ts';
import { until } from '../until.ts';
import { addNightly, EMBEDDED, get, openBoardFixture, silent, type BoardFixture } from './fixture.ts';

const shared = await servers();

const STORAGES: Record<string, (own: OwnDatabase, shared: Servers) => NodeJS.ProcessEnv> = {
  'Redis and Postgres': ({ url }, { redisUrl }) => ({ REDIS_URL: redisUrl, DATABASE_URL: url }),
  Postgres: ({ url }) => ({ DATABASE_URL: url }),
  'the embedded database': () => EMBEDDED,
};

for (const [kind, envOf] of Object.entries(STORAGES)) {
  suite(`whether a queue has workers, on ${kind}`, () => {
    let database: OwnDatabase;
    let fixture: BoardFixture;
    let all: string;

    before(async () => {
      database = await createDatabase(shared);
      fixture = await openBoardFixture(envOf(database, shared));
      all = queueName(fixture.app.ledgerId, null);
    });
    after(async () => {
      await fixture.close();
      await database.drop();
    });

    /** Bull Board says `No workers` of a queue for which this is false. */
    async function hasWorkers(name: string): Promise<boolean | null | undefined> {
      const { text } = await get(fixture.board, '/queues/api/queues');
      const { queues } = JSON.parse(text) as { queues: { name: string; hasWorkers: boolean | null }[] };
      return queues.find((queue) => queue.name === name)?.hasWorkers;
    }

    test('is shown for the queue of all batches, and changes with its workers', async () => {
      assert.equal(await hasWorkers(all), false);
      const sending = await fixture.work();
      await until(async () => (await hasWorkers(all)) === true);
      await sending.close();
      await until(async () => (await hasWorkers(all)) === false);
    });

    test('is shown for the queue of a run while that queue exists, and for no other run', async () => {
      const batch = await fixture.submit('night', { a: 'a night market' });
      const own = queueName(fixture.app.ledgerId, [batch]);
      const sending = await fixture.work([batch]);
      await until(async () => (await hasWorkers(own)) === true);
      assert.equal(await hasWorkers(all), false);
      await sending.close();
      await until(async () => (await hasWorkers(own)) === undefined);
    });

    test('is not shown for the schedules, which need no worker', async () => {
      const { app, board } = fixture;
      await addNightly(fixture);
      const mirror = openMirror(app, silent);
      const schedules = scheduleQueue(app.ledgerId);
      try {
        await mirror.show(await listSchedules(app.db));
        await until(async () => (await hasWorkers(schedules)) !== undefined);
        assert.equal(await hasWorkers(schedules), null);
        const { text } = await get(board, `/queues/api/queues/${schedules}/workers`);
        if (app.store.kind === 'redis') assert.deepEqual(JSON.parse(text), { workers: null });
      } finally {
        await mirror.close();
      }
    });
  });
}
