import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, codeOf, ROW, start } from './client.ts';

async function statuses(client: Client, creates: number): Promise<number[]> {
  const all = [];
  for (let i = 0; i < creates; i += 1) all.push((await client.create()).status);
  return all;
}

test('creates beyond the requests of one second are throttled, until the second is over', async (t) => {
  let now = 1_000_000;
  const client = await start(t, { requestsPerSecond: 2, now: () => now });
  assert.deepEqual(await statuses(client, 3), [200, 200, 429]);
  now += 999;
  assert.deepEqual(await statuses(client, 1), [429]);
  now += 1;
  assert.deepEqual(await statuses(client, 3), [200, 200, 429]);
  assert.deepEqual(client.simulator.stats().byStatus, { 200: 4, 429: 3 });
});

test('how the quota refuses can be chosen', async (t) => {
  const client = await start(t, { requestsPerSecond: 1, now: () => 0, throttle: 'throttle-seconds' });
  await client.create();
  assert.equal((await client.create()).headers['retry-after'], '1');
  client.simulator.configure({ throttle: 'throttle-html' });
  assert.match((await client.create()).text, /^<!DOCTYPE html>/);
});

test('refuse mode throttles while as many tasks are unfinished as may run', async (t) => {
  let now = 0;
  const client = await start(t, {
    runningTasks: { limit: 2, mode: 'refuse' },
    task: { queuedMs: 10, runningMs: 90 },
    now: () => now,
  });
  assert.deepEqual(await statuses(client, 3), [200, 200, 429]);
  now = 99;
  assert.deepEqual(await statuses(client, 1), [429]);
  now = 100;
  assert.deepEqual(await statuses(client, 3), [200, 200, 429]);
});

test('refuse mode never lets two concurrent creates share the last place', async (t) => {
  const client = await start(t, { runningTasks: { limit: 5, mode: 'refuse' } });
  const all = await Promise.all(Array.from({ length: 20 }, () => client.create()));
  assert.equal(all.filter(({ status }) => status === 200).length, 5);
  assert.equal(client.simulator.record.length, 5);
});

test('queue mode accepts everything and runs a limited number of tasks at a time, in order', async (t) => {
  let now = 0;
  const client = await start(t, {
    runningTasks: { limit: 2, mode: 'queue' },
    task: { queuedMs: 0, runningMs: 100 },
    now: () => now,
  });
  await statuses(client, 5);
  const at = (time: number): string[] => {
    now = time;
    return client.simulator.tasks().map(({ status }) => status);
  };
  assert.deepEqual(at(50), ['in_progress', 'in_progress', 'queued', 'queued', 'queued']);
  assert.deepEqual(at(150), ['completed', 'completed', 'in_progress', 'in_progress', 'queued']);
  assert.deepEqual(at(250), ['completed', 'completed', 'completed', 'completed', 'in_progress']);
});

test('a balance runs out in the middle, and lost creates have used it too', async (t) => {
  const client = await start(t, { balance: 3 });
  await client.create();
  await assert.rejects(client.fault('reset-after-body:created'));
  await assert.rejects(client.fault('reset-after-body:not-created'));
  await client.create();
  const refused = await client.create();
  assert.deepEqual([refused.status, codeOf(refused)], [403, 'insufficient_user_quota']);
  assert.equal(client.simulator.record.length, 3);

  client.simulator.configure({ balance: 1 });
  assert.deepEqual(await statuses(client, 2), [200, 403]);
});

test('an empty account refuses before it looks at the row', async (t) => {
  const client = await start(t, { balance: 0 });
  assert.equal((await client.create({ ...ROW, duration: 99 })).status, 403);
});
