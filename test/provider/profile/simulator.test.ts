/** The client, by each built-in profile, against the simulator that speaks it. The simulator's own record is the judge. */
import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import { createProvider, type Provider } from '../../../src/provider/client.ts';
import { builtInNames } from '../../../src/provider/profile/built-in.ts';
import { builtInProfile } from '../../../src/provider/profile/load.ts';
import { FAULT_NAMES, FAULTS } from '../../../src/simulator/fault.ts';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../../src/simulator/server.ts';
import { REQUESTS } from './documents.ts';
import { SPOKEN } from './spoken.ts';

const ROW = { model: 'viduq3p-720p', fields: { duration: 5 } };

/** These close the server. */
const CLOSING = ['outage'];

/** Each fault, with and without a task. */
const VARIANTS = FAULT_NAMES.filter((name) => !CLOSING.includes(name)).flatMap((name) => {
  const { creates } = FAULTS[name];
  return creates === 'either' ? [`${name}:created`, `${name}:not-created`] : [name];
});

async function open(
  t: TestContext,
  name: string,
  options: SimulatorOptions = {},
): Promise<{ provider: Provider; simulator: Simulator; bodyOf: (prompt: string) => string }> {
  const { profile } = builtInProfile(name) ?? assert.fail(name);
  const simulator = await startSimulator({
    profile: name,
    slowMs: 50,
    task: { queuedMs: 0, runningMs: 0 },
    ...options,
  });
  const provider = createProvider({
    baseUrl: simulator.url,
    apiKey: 'sk-test',
    profile,
    timeoutMs: 400,
  });
  t.after(async () => {
    await simulator.close();
    await provider.close();
  });
  const { model, fields } = SPOKEN[name] ?? ROW;
  return { provider, simulator, bodyOf: (prompt) => JSON.stringify({ model, prompt, ...fields }) };
}

for (const name of builtInNames()) {
  suite(name, () => {
    test('a row that may be paid is never called refused, by any answer to its create', async (t) => {
      const { provider, simulator, bodyOf } = await open(t, name);
      const seen = new Set<string>();
      for (const [index, fault] of VARIANTS.entries()) {
        simulator.faults.add({ match: { nth: 1 }, fault });
        const before = simulator.record.length;
        const outcome = await provider.create(bodyOf('a red kite'), { idempotencyKey: `key-${index}` });
        const created = simulator.record.slice(before);
        seen.add(outcome.kind);
        const told = `${fault}: ${JSON.stringify(outcome)}`;
        if (outcome.kind === 'accepted') assert.equal(outcome.taskId, created[0]?.taskId, told);
        else if (outcome.kind !== 'uncertain') assert.equal(created.length, 0, told);
        simulator.faults.clear();
      }
      for (const kind of ['accepted', 'rejected', 'throttled', 'halted', 'uncertain'])
        assert.ok(seen.has(kind), `no fault was ${kind}: ${[...seen].join(', ')}`);
    });

    test('a row of each documented kind is accepted', async (t) => {
      const { provider, simulator } = await open(t, name);
      for (const { row, path } of REQUESTS[name] ?? []) {
        const outcome = await provider.create(JSON.stringify(row), { idempotencyKey: path });
        assert.equal(outcome.kind, 'accepted', JSON.stringify({ row, outcome }));
        assert.equal(simulator.record.at(-1)?.body.prompt, row['prompt']);
      }
    });

    test('a task is asked for until its end: done with a video and its cost, failed with its reason', async (t) => {
      let now = 1_796_000_000_000;
      const { provider, simulator, bodyOf } = await open(t, name, {
        task: { queuedMs: 100, runningMs: 100 },
        now: () => now,
      });
      simulator.faults.add({ match: { prompt: 'sinks' }, task: { ends: 'failed' } });
      const { cost } = SPOKEN[name] ?? {};
      for (const [prompt, end] of [
        ['floats', 'completed'],
        ['sinks', 'failed'],
      ] as const) {
        const accepted = await provider.create(bodyOf(prompt), { idempotencyKey: prompt });
        assert.ok(accepted.kind === 'accepted', JSON.stringify(accepted));
        const { taskId, queryUrl } = accepted;
        const poll = async () => {
          const report = await provider.query(taskId, queryUrl === undefined ? {} : { queryUrl });
          return report.kind === 'task' ? report : assert.fail(JSON.stringify(report));
        };
        assert.equal((await poll()).status, 'queued');
        now += 150;
        assert.equal((await poll()).status, 'in_progress');
        now += 50;
        const ended = await poll();
        assert.equal(ended.status, end, JSON.stringify(ended));
        if (end === 'failed') {
          assert.match(ended.failReason ?? '', /Violation|Failure/);
          continue;
        }
        assert.deepEqual(ended.cost, cost);
        const url = ended.resultUrl ?? assert.fail('no URL');
        const answer = await fetch(url, { headers: provider.headersFor(url) });
        assert.equal(answer.headers.get('content-type'), 'video/mp4');
        assert.equal((await answer.arrayBuffer()).byteLength, 65_536);
      }
    });

    test('a poll that fails says nothing about the task', async (t) => {
      const { provider, simulator, bodyOf } = await open(t, name);
      const accepted = await provider.create(bodyOf('a red kite'), { idempotencyKey: 'key' });
      const taskId = accepted.kind === 'accepted' ? accepted.taskId : assert.fail();
      for (const fault of ['throttle-seconds', 'status-502', 'status-500', 'html-200', 'unauthorized']) {
        simulator.faults.add({ on: 'query', match: { nth: 1 }, fault });
        const report = await provider.query(taskId);
        assert.equal(report.kind, 'transient', `${fault}: ${JSON.stringify(report)}`);
        simulator.faults.clear();
      }
      assert.equal((await provider.query(taskId)).kind, 'task');
    });
  });
}
