import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, fields, ROW, start } from './client.ts';

const post = (client: Client, path: string, body: unknown) => client.send('POST', path, body);

test('stats count what was tried, accepted and answered', async (t) => {
  const client = await start(t);
  await client.create();
  await client.create({ ...ROW, prompt: ' ' });
  await assert.rejects(client.fault('reset-after-body:created'));
  await client.query('task_unknown');
  assert.deepEqual(fields((await client.send('GET', '/control/stats')).text), {
    creates: 3,
    accepted: 2,
    byStatus: { 200: 1, 400: 1, none: 1 },
    queries: 1,
    results: 0,
    elsewhere: 0,
    maxConcurrent: 1,
  });
});

test('the record is NDJSON, one line an accepted create, lost answers included', async (t) => {
  const client = await start(t);
  await client.create();
  await client.fault('no-id:created');
  await client.fault('no-id:not-created');
  const { text, headers } = await client.send('GET', '/control/record');
  assert.equal(headers['content-type'], 'application/x-ndjson');
  const lines = text.trimEnd().split('\n').map(fields);
  assert.deepEqual(lines, client.simulator.record);
  assert.deepEqual(
    lines.map((line) => line['answered']),
    ['sent', 'lost'],
  );
});

test('rules can be added and removed from outside', async (t) => {
  const client = await start(t);
  const rule = { match: { prompt: 'kite' }, fault: 'status-504:not-created' };
  assert.equal((await post(client, '/control/rules', rule)).status, 200);
  assert.equal((await client.create()).status, 504);
  assert.equal((await client.send('DELETE', '/control/rules')).status, 200);
  assert.equal((await client.create()).status, 200);
});

const WRONG_RULES: [unknown, RegExp][] = [
  [{ match: {}, fault: 'nonsense' }, /fault "nonsense" is not known.*known: .*timeout/],
  [{ match: {} }, /needs either fault or task/],
  [{ match: { nth: 0 }, fault: 'timeout' }, /match\.nth/],
  [{ match: { propmt: 'x' }, fault: 'timeout' }, /propmt/],
  [{ match: { prompt: 'x' }, fault: 'reset-before-body' }, /before the prompt is read/],
  [{ match: {}, fault: 'throttle', created: true }, /never creates a task/],
  [undefined, /rule/],
];

for (const [rule, reason] of WRONG_RULES) {
  test(`the rule ${JSON.stringify(rule)} is refused: ${reason.source}`, async (t) => {
    const client = await start(t);
    const seen = await post(client, '/control/rules', rule);
    assert.equal(seen.status, 400);
    assert.match(String(fields(seen.text)['error']), reason);
  });
}

test('settings can be changed from outside, all or none', async (t) => {
  const client = await start(t);
  const good = await post(client, '/control/settings', { requestsPerSecond: 5, task: { missingPolls: 1 } });
  assert.partialDeepStrictEqual(fields(good.text), {
    requestsPerSecond: 5,
    task: { missingPolls: 1, runningMs: 4000 },
  });
  const bad = await post(client, '/control/settings', { requestsPerSecond: 9, balance: -1 });
  assert.equal(bad.status, 400);
  assert.match(String(fields(bad.text)['error']), /balance/);
  assert.equal(client.simulator.settings().requestsPerSecond, 5);
});

test('the key cannot be changed from outside', async (t) => {
  const client = await start(t);
  const seen = await post(client, '/control/settings', { apiKey: 'x' });
  assert.match(String(fields(seen.text)['error']), /apiKey/);
});

test('rates that add up to more than everything are refused', async (t) => {
  await assert.rejects(start(t, { faults: ['timeout=0.6', 'status-502=0.5'] }), /more than 1/);
});

test('the task list shows every task, ready for a bill', async (t) => {
  const client = await start(t, { now: () => 5_000 });
  const id = await client.taskId();
  assert.deepEqual(fields((await client.send('GET', '/control/tasks')).text), {
    tasks: [
      {
        taskId: id,
        createdAt: 5_000,
        prompt: ROW.prompt,
        model: ROW.model,
        duration: 5,
        status: 'queued',
        startsAt: 6_000,
        endsAt: 10_000,
        answered: 'sent',
        requestNumber: 1,
        polls: 0,
      },
    ],
  });
});

test('an unknown path of the control endpoint is refused with the known ones', async (t) => {
  const client = await start(t);
  const unknown = await client.send('GET', '/control/bills');
  assert.equal(unknown.status, 404);
  assert.match(unknown.text, /GET \/control\/stats/);
  assert.equal((await post(client, '/control/rules', '{"match"')).status, 400);
});
