import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { startServer } from '../servers.ts';
import { get, openBoardFixture } from './fixture.ts';

suite('while Redis is away', () => {
  test('the first page says so, the queues answer with a message, and the ledger is shown', async () => {
    const redis = await startServer('redis');
    const fixture = await openBoardFixture({ REDIS_URL: redis.url });
    try {
      await fixture.submit('waiting', { a: 'a harbour' });
      const told = /the queue does not answer \(.+\): no new row is sent meanwhile/;
      assert.doesNotMatch((await get(fixture.board, '/')).text, told);
      await redis.stop();
      const home = await get(fixture.board, '/');
      assert.equal(home.status, 200);
      assert.match(home.text, told);
      assert.match(home.text, /no worker feeds these rows/);
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
