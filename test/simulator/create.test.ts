import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, fields, PATH, ROW, start } from './client.ts';

test('a create is answered as the contract page shows and is in the record', async (t) => {
  const client = await start(t, { now: () => 1_774_507_626_500 });
  const seen = await client.create(ROW, { 'idempotency-key': 'row-1' });

  const body = fields(seen.text);
  assert.equal(seen.status, 200);
  assert.match(String(body['task_id']), /^task_[A-Za-z0-9_-]{24}$/);
  assert.deepEqual(body, {
    id: body['task_id'],
    task_id: body['task_id'],
    object: 'video.generation.job',
    model: ROW.model,
    status: 'queued',
    progress: 0,
    created_at: 1_774_507_626,
  });
  assert.deepEqual(client.simulator.record, [
    {
      taskId: body['task_id'],
      at: 1_774_507_626_500,
      body: ROW,
      bodyText: JSON.stringify(ROW),
      authorization: true,
      contentType: 'application/json',
      idempotencyKey: 'row-1',
      answered: 'sent',
      requestNumber: 1,
    },
  ]);
});

test('the body is kept byte for byte', async (t) => {
  const client = await start(t);
  const text = '{ "prompt":"日出\\u002c 海", "model" : "viduq3t-540p" }';
  await client.send('POST', PATH, text);
  assert.equal(client.simulator.record[0]?.bodyText, text);
});

test('only the configured key is let in, and it is kept nowhere', async (t) => {
  const client = await start(t, { apiKey: 'sk-right' });
  const wrong = await client.create(ROW, { authorization: 'Bearer sk-wrong' });
  const right = await client.create(ROW, { authorization: 'Bearer sk-right' });

  assert.deepEqual([wrong.status, right.status], [401, 200]);
  assert.equal((fields(wrong.text)['error'] as { type: string }).type, 'new_api_error');
  assert.doesNotMatch(JSON.stringify(client.simulator.record), /sk-right/);
  const settings = await client.send('GET', '/control/settings');
  assert.doesNotMatch(settings.text, /sk-right/);
});

test('without a configured key any key will do, but not none', async (t) => {
  const client = await start(t);
  assert.equal((await client.create(ROW, { authorization: '' })).status, 401);
  assert.equal((await client.create(ROW, { authorization: 'Bearer ' })).status, 401);
  assert.equal((await client.create(ROW, { authorization: 'Bearer x' })).status, 200);
});

test('a row that breaks a rule is refused and not recorded', async (t) => {
  const client = await start(t);
  const seen = await client.create({ ...ROW, duration: 17 });
  assert.equal(seen.status, 400);
  assert.deepEqual(fields(seen.text), {
    code: 'invalid_request',
    message: 'duration must be an integer between 1 and 16',
    data: null,
  });
  assert.equal(client.simulator.record.length, 0);
});

test('a body over the limit is 413, even while the client is still writing', async (t) => {
  const client = await start(t, { maxBodyBytes: 1000 });
  const seen = await client.create({ ...ROW, prompt: 'x'.repeat(3_000_000) });
  assert.deepEqual([seen.status, codeOf(seen)], [413, 'read_request_body_failed']);
});

test('a wrong path is a 404 in JSON, or index.html where the gateway serves a page', async (t) => {
  const client = await start(t);
  const strict = await client.send('POST', '/v1/v1/video/generations', ROW);
  assert.equal(strict.status, 404);
  assert.deepEqual(fields(strict.text)['error'], {
    message: 'Invalid URL (POST /v1/v1/video/generations)',
    type: 'invalid_request_error',
    param: '',
    code: '',
  });

  client.simulator.configure({ spaFallback: true });
  const page = await client.send('POST', '/v1/v1/video/generations', ROW);
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8']);
  assert.equal(client.simulator.stats().elsewhere, 2);
  assert.equal(client.simulator.record.length, 0);
});

test('Idempotency-Key is ignored, as by the real one: the row is paid twice', async (t) => {
  const client = await start(t);
  await client.create(ROW, { 'idempotency-key': 'k' });
  await client.create(ROW, { 'idempotency-key': 'k' });
  assert.equal(client.simulator.record.length, 2);
});

test('when honoured, a key brings back the answer that was lost', async (t) => {
  const client = await start(t, { honourIdempotency: true });
  await assert.rejects(
    client.create(ROW, { 'idempotency-key': 'k', 'x-simulate': 'reset-after-body:created' }),
  );
  const again = await client.create(ROW, { 'idempotency-key': 'k' });
  assert.equal(fields(again.text)['task_id'], client.simulator.record[0]?.taskId);
  assert.equal(client.simulator.record.length, 1);
});

test('when honoured, a key also brings back a refusal, until the client changes it', async (t) => {
  const client = await start(t, { honourIdempotency: true });
  await client.create(ROW, { 'idempotency-key': 'k-0', 'x-simulate': 'throttle' });
  assert.equal((await client.create(ROW, { 'idempotency-key': 'k-0' })).status, 429);
  assert.equal((await client.create(ROW, { 'idempotency-key': 'k-1' })).status, 200);
});

test('a create that broke without a task is not remembered under its key', async (t) => {
  const client = await start(t, { honourIdempotency: true });
  await client.create(ROW, { 'idempotency-key': 'k', 'x-simulate': 'status-502:not-created' });
  assert.equal((await client.create(ROW, { 'idempotency-key': 'k' })).status, 200);
});

test('the most creates open at the same moment are counted', async (t) => {
  const client = await start(t);
  const hung = [1, 2, 3].map(() => client.fault('timeout:not-created'));
  await client.simulator.reached({ creates: 3 });
  assert.equal(client.simulator.stats().maxConcurrent, 3);
  await client.simulator.close();
  await Promise.allSettled(hung);
  assert.deepEqual(client.simulator.stats().byStatus, { none: 3 });
});
