import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MISTAKE_NAMES, MISTAKES } from '../../src/simulator/mistake.ts';
import { type Client, fields, ROW, start } from './client.ts';

const LIFE = { queuedMs: 1000, runningMs: 4000 };

/** A clock that a test moves; tasks are over ten seconds after the creates. */
async function simulator(
  t: Parameters<typeof start>[0],
  options = {},
): Promise<{ client: Client; end: () => void }> {
  let time = 1_700_000_000_000;
  const client = await start(t, { now: () => time, task: LIFE, ...options });
  return { client, end: () => (time += 10_000) };
}

const rows = (text: string): string[] => text.trimEnd().split('\r\n').slice(1);

test('the list and the bill say the truth, as CSV and JSON', async (t) => {
  const { client, end } = await simulator(t);
  const id = await client.taskId({ ...ROW, prompt: 'a "red", kite' });
  end();
  const list = await client.send('GET', '/control/list.csv');
  assert.equal(list.headers['content-type'], 'text/csv; charset=utf-8');
  assert.deepEqual(rows(list.text), [
    `10,${id},completed,viduq3p-720p,5,"a ""red"", kite",1700000000,1700000005,,simulated-1`,
  ]);
  const bill = fields((await client.send('GET', '/control/bill.json')).text);
  assert.deepEqual(bill, {
    object: 'list',
    total: 1,
    data: [
      {
        id: 10,
        time: 1_700_000_000,
        type: 'charge',
        task_id: id,
        request_id: 'simulated-1',
        model: 'viduq3p-720p',
        duration: 5,
        amount: '1.00',
        currency: 'CNY',
      },
    ],
  });
});

test('a failed task is refunded, or free', async (t) => {
  const { client, end } = await simulator(t, { task: { ...LIFE, ends: 'failed' } });
  await client.taskId();
  end();
  const types = (): string[] => client.simulator.providerFiles().bill.map((line) => line.type);
  assert.deepEqual(types(), ['charge', 'refund']);
  client.simulator.configure({ failedTasks: 'free' });
  assert.deepEqual(types(), []);
});

test('every mistake can be made for one row, and is recorded', async (t) => {
  for (const mistake of MISTAKE_NAMES) {
    const { of } = MISTAKES[mistake];
    const { client, end } = await simulator(t);
    client.simulator.faults.add({ match: { prompt: 'fails' }, task: { ends: 'failed' } });
    client.simulator.faults.add({ match: { prompt: 'refused' }, fault: 'policy' });
    const prompt = of === 'failed' ? 'fails' : of === 'refused' ? 'refused' : 'ends well';
    for (const one of [prompt, 'another']) await client.create({ ...ROW, prompt: one });
    end();
    const truth = client.simulator.providerFiles();
    client.simulator.faults.add({ match: { prompt }, mistake });
    const wrong = client.simulator.providerFiles();
    assert.notDeepEqual({ ...wrong, mistakes: [] }, truth, mistake);
    assert.deepEqual(
      wrong.mistakes.map((one) => [one.mistake, one.requestId]),
      [[mistake, 'simulated-1']],
    );
  }
});

test('mistakes at a rate are the same for the same seed, and are made only where they can be', async (t) => {
  const { client, end } = await simulator(t, {
    mistakes: ['billed-twice=0.3', 'missing=0.2', 'billed-failed=0.5'],
  });
  for (let n = 0; n < 60; n += 1) await client.taskId();
  end();
  const { mistakes, list } = client.simulator.providerFiles();
  assert.deepEqual(client.simulator.providerFiles().mistakes, mistakes);
  const names = Object.groupBy(mistakes, ({ mistake }) => mistake);
  assert.deepEqual(Object.keys(names).sort(), ['billed-twice', 'missing']);
  assert.equal(list.length, 60 - (names.missing?.length ?? 0));
  const told = fields((await client.send('GET', '/control/mistakes')).text);
  assert.deepEqual(told, { mistakes });
});

test('an unknown mistake is refused', async (t) => {
  await assert.rejects(start(t, { mistakes: ['billed-thrice'] }), /"billed-thrice" is not known.*/);
  await assert.rejects(start(t, { mistakes: ['missing=2'] }), /not a number between 0 and 1/);
  await assert.rejects(start(t, { mistakes: ['missing=0.6', 'extra=0.6'] }), /more than 1/);
});
