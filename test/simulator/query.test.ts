import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { codeOf, fields, ROW, start } from './client.ts';

const LIFE = { queuedMs: 100, runningMs: 100 };

test('a task is queued, progresses and is completed with a result', async (t) => {
  let now = 1_000_000;
  const client = await start(t, { task: LIFE, now: () => now });
  const id = await client.taskId();
  const seen = [];
  for (const after of [99, 100, 150, 199, 200]) {
    now = 1_000_000 + after;
    const { status, progress } = fields((await client.query(id)).text);
    seen.push(`${String(status)} ${String(progress)}`);
  }
  assert.deepEqual(seen, ['queued 0', 'in_progress 0', 'in_progress 50', 'in_progress 99', 'completed 100']);
  assert.deepEqual(fields((await client.query(id)).text), {
    id,
    task_id: id,
    model: ROW.model,
    status: 'completed',
    progress: 100,
    created_at: 1000,
    video_url: client.simulator.resultUrl(id),
    error: null,
  });
});

test('a task whose answer was lost can be polled', async (t) => {
  const client = await start(t);
  await client.fault('truncated-json:created');
  const id = client.simulator.record[0]?.taskId ?? '';
  assert.equal(fields((await client.query(id)).text)['id'], id);
});

test('a poll needs a key', async (t) => {
  const client = await start(t, { apiKey: 'sk-test' });
  const id = await client.taskId();
  assert.equal((await client.query(id, { authorization: 'Bearer no' })).status, 401);
});

suite('shapes', () => {
  const cases = {
    flat: (_id: string, url: string) => ({
      status: 'completed',
      progress: 100,
      video_url: url,
    }),
    'flat-url': (_id: string, url: string) => ({
      status: 'succeeded',
      progress: '100%',
      url: url,
    }),
    'flat-result': (_id: string, url: string) => ({
      status: 'success',
      progress: 100,
      result: { video_url: url },
    }),
    wrapped: (id: string, url: string) => ({
      code: 'success',
      data: {
        task_id: id,
        status: 'SUCCESS',
        fail_reason: '',
        result_url: url,
        progress: '100%',
      },
    }),
  } as const;

  for (const [shape, expected] of Object.entries(cases)) {
    test(shape, async (t) => {
      const queryShape = shape as keyof typeof cases;
      const client = await start(t, { queryShape, task: { queuedMs: 0, runningMs: 0 } });
      const id = await client.taskId();
      assert.partialDeepStrictEqual(
        fields((await client.query(id)).text),
        expected(id, client.simulator.resultUrl(id)),
      );
    });
  }

  test('mixed gives every shape in turn, the same for the same seed', async (t) => {
    const keys = async (): Promise<string[]> => {
      const client = await start(t, { queryShape: 'mixed', seed: 3 });
      const id = await client.taskId();
      const all = [];
      for (let i = 0; i < 24; i += 1) all.push(Object.keys(fields((await client.query(id)).text)).join());
      return all;
    };
    const first = await keys();
    assert.equal(new Set(first).size, 4);
    assert.deepEqual(await keys(), first);
  });
});

suite('surprises', () => {
  test('a fresh task does not exist for the first polls', async (t) => {
    const client = await start(t, { task: { missingPolls: 2, missingStatus: 404 } });
    const id = await client.taskId();
    const polls = [await client.query(id), await client.query(id), await client.query(id)];
    assert.deepEqual(
      polls.map((seen) => seen.status),
      [404, 404, 200],
    );
    assert.equal(codeOf(polls[0] ?? assert.fail()), 'task_not_exist');
  });

  test('a task that was never made does not exist', async (t) => {
    const client = await start(t);
    const seen = await client.query('task_nobodyMadeThisOne0000000');
    assert.deepEqual([seen.status, codeOf(seen)], [400, 'task_not_exist']);
  });

  test('a rule on the prompt decides how its tasks end', async (t) => {
    let now = 0;
    const client = await start(t, { task: LIFE, now: () => now });
    client.simulator.faults.add({ match: { prompt: 'storm' }, task: { ends: 'failed', runningMs: 500 } });
    client.simulator.faults.add({ match: { prompt: 'snow' }, task: { ends: 'expired' } });
    const ids: string[] = [];
    for (const prompt of ['sun', 'storm', 'snow']) ids.push(await client.taskId({ ...ROW, prompt }));
    const at = async (time: number): Promise<unknown[]> => {
      now = time;
      const all = await Promise.all(ids.map((id) => client.query(id)));
      return all.map((seen) => fields(seen.text)['status']);
    };
    assert.deepEqual(await at(150), ['in_progress', 'in_progress', 'queued']);
    assert.deepEqual(await at(599), ['completed', 'in_progress', 'expired']);
    assert.deepEqual(await at(600), ['completed', 'failed', 'expired']);
  });

  test('a failed task says why, in each shape', async (t) => {
    const client = await start(t, { task: { queuedMs: 0, runningMs: 0, ends: 'failed' } });
    const id = await client.taskId();
    const reasons = [];
    for (const queryShape of ['flat', 'flat-url', 'flat-result', 'wrapped'] as const) {
      client.simulator.configure({ queryShape });
      const { error, data } = fields((await client.query(id)).text) as {
        error?: { code: string } | string;
        data?: { fail_reason: string };
      };
      reasons.push(typeof error === 'object' ? error.code : (error ?? data?.fail_reason));
    }
    assert.equal(new Set(reasons).size, 1);
    assert.match(String(reasons[0]), /^[A-Z][A-Za-z]+$/);
  });

  test('statuses can be unknown and progress can go backwards', async (t) => {
    let now = 0;
    const client = await start(t, {
      task: { ...LIFE, unknownStatus: 'reviewing', backwards: true },
      now: () => now,
    });
    const id = await client.taskId();
    now = 180;
    const polls = [fields((await client.query(id)).text), fields((await client.query(id)).text)];
    assert.deepEqual(
      polls.map(({ status, progress }) => [status, progress]),
      [
        ['reviewing', 80],
        ['reviewing', 50],
      ],
    );
  });

  test('a share of the tasks fails, the same for the same seed', async (t) => {
    const failed = async (): Promise<string> => {
      const client = await start(t, { seed: 5, task: { queuedMs: 0, runningMs: 0, failureShare: 0.3 } });
      for (let i = 0; i < 40; i += 1) await client.create();
      return client.simulator
        .tasks()
        .map(({ status }) => (status === 'failed' ? 'x' : '.'))
        .join('');
    };
    const first = await failed();
    assert.match(first, /x/);
    assert.match(first, /\./);
    assert.equal(await failed(), first);
  });

  test('polls can be disturbed like creates', async (t) => {
    const client = await start(t);
    const id = await client.taskId();
    client.simulator.faults.add({
      on: 'query',
      match: { prompt: 'kite', times: 1 },
      fault: 'throttle-seconds',
    });
    assert.equal((await client.query(id)).status, 429);
    assert.equal((await client.query(id, { 'x-simulate': 'status-502' })).status, 502);
    await assert.rejects(client.query(id, { 'x-simulate': 'reset-in-answer' }), { code: 'ECONNRESET' });
    assert.equal((await client.query(id)).status, 200);
  });
});

test('the final status of a task can change later', async (t) => {
  const client = await start(t, { task: { queuedMs: 0, runningMs: 0, afterEnd: 'failed' } });
  const id = await client.taskId();
  const seen = [];
  for (let n = 0; n < 3; n += 1) seen.push(fields((await client.query(id)).text)['status']);
  assert.deepEqual(seen, ['completed', 'failed', 'failed']);
  client.simulator.configure({ task: { afterEnd: 'missing' } });
  assert.equal((await client.query(id)).status, 400);
  const [listed] = client.simulator.tasks();
  assert.deepEqual([listed?.status, listed?.polls], ['completed', 4], 'its books know better');
});

test('polls have their own faults, at a rate, and with Retry-After', async (t) => {
  const queryFaults = ['throttle-seconds=0.3', 'status-503-seconds=0.3'];
  const client = await start(t, { queryFaults, task: { queuedMs: 0, runningMs: 0 } });
  const id = await client.taskId();
  const seen = new Set<string>();
  for (let n = 0; n < 40; n += 1) {
    const { status, headers } = await client.query(id);
    seen.add(`${status} ${String(headers['retry-after'] ?? '-')}`);
  }
  assert.deepEqual([...seen].toSorted(), ['200 -', '429 1', '503 1']);
  assert.equal(client.simulator.stats().accepted, 1, 'creates have none of it');
});
