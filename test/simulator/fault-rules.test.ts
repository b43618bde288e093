import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, ROW, start } from './client.ts';

test('a rule strikes the rows whose prompt it names, as often as it says', async (t) => {
  const client = await start(t);
  client.simulator.faults.add({ match: { prompt: 'kite', times: 2 }, fault: 'status-502', created: false });
  const seen = [];
  for (const prompt of ['boat', 'kite', 'a kite', 'kite']) {
    seen.push((await client.create({ ...ROW, prompt })).status);
  }
  assert.deepEqual(seen, [200, 502, 502, 200]);
  assert.equal(client.simulator.record.length, 2);
});

test('a rule strikes the n-th create', async (t) => {
  const client = await start(t);
  client.simulator.faults.add({ match: { nth: 2 }, fault: 'throttle' });
  client.simulator.faults.add({ match: { nth: 3 }, fault: 'reset-before-body' });
  assert.equal((await client.create()).status, 200);
  assert.equal((await client.create()).status, 429);
  await assert.rejects(client.create(), { code: 'ECONNRESET' });
  assert.equal((await client.create()).status, 200);
});

test('faults at a rate strike the same creates for the same seed', async (t) => {
  const struck = async (seed: number): Promise<string> => {
    const client = await start(t, {
      seed,
      faults: ['status-502:created=0.2', 'status-500:not-created=0.2'],
    });
    const all = [];
    for (let i = 0; i < 40; i += 1) all.push((await client.create()).status);
    const created = all.filter((status) => status !== 500).length;
    assert.equal(client.simulator.record.length, created);
    return all.join(' ');
  };
  const first = await struck(7);
  assert.match(first, /502/);
  assert.match(first, /500/);
  assert.match(first, /200/);
  assert.equal(await struck(7), first);
  assert.notEqual(await struck(8), first);
});

test('a fault that is not known is answered with the reason and creates nothing', async (t) => {
  const client = await start(t);
  const seen = await client.fault('tmeout');
  assert.deepEqual([seen.status, codeOf(seen)], [400, 'unknown_simulated_fault']);
  assert.equal(client.simulator.record.length, 0);
});
