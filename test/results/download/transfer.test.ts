import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClient, openTransfer } from '../../../src/results/download/transfer.ts';
import { profileWith } from '../../provider/answers.ts';
import { API_KEY, provider } from '../../provider/fixture.ts';
import { http, wireServer } from '../../provider/server.ts';

test('the key goes to the video at the provider, and not on to the address that it redirects to', async (t) => {
  const cdn = await wireServer(({ socket }) => socket.write(http(200, 'x')));
  const own = await wireServer(({ socket, path }) =>
    socket.write(
      http(302, '', { location: path === '/v1/t/content' ? '/files/t' : `${cdn.url}/v1/t/content` }),
    ),
  );
  const hosts = [cdn.url, own.url].map((url) => new URL(url).host);
  const client = openClient({ allowPrivate: false, allowHosts: hosts }, 1000);
  t.after(() => Promise.all([client.destroy(), cdn.close(), own.close()]));
  const made = provider(t, own.url, {
    profile: profileWith("task: { content: '/v1/{id}/content' }"),
  });
  const limits = { maxBytes: 100, idleMs: 1000, signal: AbortSignal.timeout(5000) };
  const part = { size: 0, validator: null, total: null };
  const opened = await openTransfer(client, `${own.url}/v1/t/content`, {}, part, {
    ...limits,
    headersFor: (url) => Promise.resolve(made.headersFor(url)),
  });
  assert.equal(opened.kind, 'answer');
  assert.deepEqual(
    [...own.requests, ...cdn.requests].map(({ path, headers }) => [path, headers['authorization']]),
    [
      ['/v1/t/content', `Bearer ${API_KEY}`],
      ['/files/t', undefined],
      ['/v1/t/content', undefined],
    ],
  );
});
