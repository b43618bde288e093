import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { startServer } from '../servers.ts';
import { until } from '../until.ts';
import { get, openBoardFixture } from './fixture.ts';

suite('while Redis is away', () => {
  test('each page says so and since when, the queues answer with a message, and the ledger is shown', async () => {
    const redis = await startServer('redis');
    const fixture = await openBoardFixture({ REDIS_URL: redis.url });
    try {
      await fixture.submit('waiting', { a: 'a harbour' });
      const told = /the queue does not answer \(.+\): no new row is sent meanwhile/;
      assert.doesNotMatch((await get(fixture.board, '/')).text, told);
      await redis.stop();
      // A page does not wait long for the news.
      await until(async () => told.test((await get(fixture.board, '/')).text));
      const home = await get(fixture.board, '/');
      assert.equal(home.status, 200);
      assert.match(home.text, told);
      assert.match(home.text, /no worker feeds these rows/);
      const { rows } = await fixture.app.db.query<{ id: number }>('select id from vidbatch.row');
      const pages = [
        'uncertain',
        'failures',
        'cost',
        'workers',
        'schedules',
        'find?q=a',
        'batches/waiting',
        'no-page',
      ];
      for (const path of [
        ...pages,
        'batches/waiting/videos',
        `rows/${rows[0]?.id}`,
        'act/cancel?batch=waiting',
      ]) {
        const { text } = await get(fixture.board, `/${path}`);
        assert.match(text, told, path);
        assert.match(text, /Known since <time datetime="20/, path);
      }
      for (const path of ['/api/batches', '/sign-in', '/style.css'])
        assert.doesNotMatch((await get(fixture.board, path)).text, told, path);
      for (const path of ['/queues', '/queues/api/queues']) {
        const { status, text } = await get(fixture.board, path);
        assert.equal(status, 503, path);
        assert.match(text, told);
      }
      assert.equal((await get(fixture.board, '/healthz')).status, 200, 'the ledger is well');
    } finally {
      await fixture.close();
    }
  });
});
