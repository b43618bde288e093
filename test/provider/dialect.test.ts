/** What other gateways say, as it was complained about in public: understood by default, or by one line of a profile. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dialectOf } from '../../src/provider/dialect.ts';
import { judge } from '../../src/provider/judgement.ts';
import { readTask } from '../../src/provider/task-answer.ts';
import type { Accepted, Outcome, TaskReport } from '../../src/core/outcome.ts';
import { answer, profileWith } from './answers.ts';

const now = 0;
type Task = Extract<TaskReport, { kind: 'task' }>;

function told(status: number, body: unknown, ...lines: string[]): Outcome {
  return judge(answer(status, body), dialectOf(profileWith(...lines)), { now });
}

function task(body: unknown, ...lines: string[]): Partial<Task> {
  const options = { now, origin: 'https://api.example' };
  const report = readTask(answer(200, body), dialectOf(profileWith(...lines)), options);
  assert.ok(report.kind === 'task', JSON.stringify(report));
  return report;
}

describe('the answer to a create', () => {
  const accepted: [name: string, status: number, body: unknown, id: string, line?: string][] = [
    ['with the id in data', 200, { code: 'success', data: { task_id: 'x1' } }, 'x1'],
    ['whose data is the id', 200, { code: 'success', data: 'task_1' }, 'task_1'],
    ['with taskId', 200, { taskId: 'x1' }, 'x1'],
    ['that is a list', 200, [{ task_id: 'x1' }], 'x1', 'create: { +taskId: "[0].task_id" }'],
    ['that is a stream', 200, 'data: {"task_id":"x1"}\n\n', 'x1'],
    ['with an id of 64 bits', 200, '{"task_id":738529527931269425}', '738529527931269425'],
    ['with status 202', 202, { task_id: 'x1' }, 'x1'],
    ['with spaces around the id', 200, { task_id: ' task_1 ' }, ' task_1 '],
    ['with a task that failed', 200, { task_id: 'x1', status: 'failed' }, 'x1'],
    ['with the id in another place', 200, { output: { job: 7 } }, '7', 'create: { +taskId: output.job }'],
  ];
  for (const [name, status, body, id, line] of accepted) {
    it(`${name} is an acceptance${line === undefined ? '' : `, by ${line}`}`, () => {
      const outcome = told(status, body, ...(line === undefined ? [] : [line]));
      assert.equal((outcome as Accepted).taskId, id, JSON.stringify(outcome));
    });
  }

  it('with a code of its own under 200 means what the profile says', () => {
    const busy = { code: 1302, message: 'busy' };
    assert.equal(told(200, busy).kind, 'uncertain');
    const line = 'outcomes: { +codes: { code: 1302, status: 200, outcome: throttled } }';
    assert.equal(told(200, busy, line).kind, 'throttled');
    assert.equal(told(200, { id: 'req-1', ...busy }, line).kind, 'throttled');
    assert.equal(told(200, { task_id: 'x1', ...busy }, line).kind, 'accepted');
  });

  it('with words under 200 means what the profile says, unless it has an id', () => {
    const line = 'outcomes: { +texts: { text: try again, status: 2xx, outcome: throttled } }';
    assert.equal(told(200, { message: 'Try again later' }, line).kind, 'throttled');
    assert.equal(told(200, { id: 'x1', message: 'try again' }, line).kind, 'accepted');
  });

  it('with an id of the request and no balance is a halt', () => {
    assert.equal(told(200, { id: 'req-1', code: 'insufficient_user_quota' }).kind, 'halted');
  });

  it('that was cut off is not what its words say', () => {
    const line = 'outcomes: { +texts: { text: busy, status: 503, outcome: not-sent } }';
    const whole = answer(503, 'we are busy');
    const cutOff = { code: 'UND_ERR_SOCKET', message: 'closed' };
    const dialect = dialectOf(profileWith(line));
    assert.equal(judge(whole, dialect, { now }).kind, 'not-sent');
    assert.equal(judge({ ...whole, cutOff }, dialect, { now }).kind, 'uncertain');
  });

  it('that refuses and names a task in the places or with the prefix of the profile is uncertain', () => {
    const lines = ['create: { taskId: [output.job], id: [ref], idPrefix: [cgt-] }'];
    const bodies = [
      { output: { job: 'x1' } },
      { error: 'no', extra: [{ job: 738 }] },
      '{"output":{"job":"x1',
      { ref: 'CGT-1' },
      { text: '{"ref":"cgt-1"}' },
    ];
    for (const status of [400, 402, 429]) {
      for (const body of bodies) assert.equal(told(status, body, ...lines).kind, 'uncertain');
      assert.notEqual(told(status, { ref: 'req-1', output: { job: '' } }, ...lines).kind, 'uncertain');
    }
  });

  it('that repeats an earlier one says so by the header of the profile', () => {
    const line =
      'idempotency: { header: Idempotency-Key, honoured: true, lifetime: 24h, replayed: Idempotency-Replayed }';
    const replayed = (value: string): unknown => {
      const given = answer(200, { task_id: 'x1' }, { 'idempotency-replayed': value });
      return (judge(given, dialectOf(profileWith(line)), { now }) as Accepted).replayed;
    };
    assert.deepEqual([replayed('true'), replayed('false'), replayed('')], [true, undefined, undefined]);
  });
});

describe('the answer to a poll', () => {
  const url = 'https://cdn.example/v.mp4';
  const statuses: [body: unknown, status: Task['status'], line?: string][] = [
    [{ id: 't', status: 'succeed' }, 'completed'],
    [{ id: 't', status: 'done' }, 'completed'],
    [{ id: 't', status: 'FINISHED' }, 'completed'],
    [{ id: 't', status: 'canceled' }, 'failed'],
    [{ id: 't', status: 'Fail' }, 'failed'],
    [{ id: 't', status: 'error' }, 'failed'],
    [{ id: 't', status: 'rejected' }, 'failed'],
    [{ id: 't', status: 'PENDING' }, 'queued'],
    [{ id: 't', state: 'success', creations: [{ url }] }, 'completed'],
    [{ code: 0, data: { task_id: 't', task_status: 'succeed' } }, 'completed'],
    [{ id: 't', status: 2 }, 'completed', 'task: { words: { +completed: 2 } }'],
    [{ id: 't', status: 'THROTTLED' }, 'queued', 'task: { words: { +queued: throttled } }'],
    [{ id: 't', status: 'done', ok: false }, 'failed', 'task: { +failedWhen: { at: ok, is: false } }'],
  ];
  for (const [body, status, line] of statuses) {
    it(`${JSON.stringify(body)} is ${status}${line === undefined ? '' : `, by ${line}`}`, () =>
      assert.equal(task(body, ...(line === undefined ? [] : [line])).status, status));
  }

  const places: [place: Record<string, unknown>, found: string, line?: string][] = [
    [{ metadata: { url } }, url],
    [{ video_urls: [url] }, url],
    [{ results: [{ url }] }, url],
    [{ output: url }, url],
    [{ output: [url] }, url],
    [{ content: { video_url: url } }, url],
    [{ data: { creations: [{ url }] } }, url],
    [{ url: { video_url: url } }, url],
    [{ video: { url: '/files/v.mp4' } }, 'https://api.example/files/v.mp4', 'task: { +result: video.url }'],
    [{ clips: [{ at: { mp4: url } }] }, url, "task: { +result: 'clips[].at.mp4' }"],
  ];
  for (const [place, found, line] of places) {
    it(`has its URL in ${JSON.stringify(place)}${line === undefined ? '' : `, by ${line}`}`, () => {
      const { status, resultUrl } = task(
        { id: 't', status: 'completed', ...place },
        ...(line === undefined ? [] : [line]),
      );
      assert.deepEqual([status, resultUrl], ['completed', found]);
    });
  }

  it('has no URL in the reason of a failure, although a completed task may have one there', () => {
    assert.equal(task({ id: 't', status: 'failed', fail_reason: url }).resultUrl, undefined);
    assert.equal(task({ id: 't', status: 'completed', fail_reason: url }).resultUrl, url);
  });

  const costs: [body: unknown, at: string, amount: string | undefined][] = [
    [{ status: 'done', credits: 20 }, 'credits', '20'],
    [{ status: 'done', usage: { cost: 0.25 } }, 'usage.cost', '0.25'],
    [{ status: 'done', usage: { cost: '1.230' } }, 'usage.cost', '1.230'],
    [{ code: 0, usage: { cost: 2 }, data: { id: 't', status: 'done' } }, 'usage.cost', '2'],
    ['{"status":"done","ticks":738529527931269425}', 'ticks', '738529527931269425'],
    [{ status: 'done', cost: 0.000_000_25 }, 'cost', '0.00000025'],
    [{ status: 'done', cost: 0 }, 'cost', '0'],
    [{ status: 'done', cost: -1 }, 'cost', undefined],
    [{ status: 'done', cost: 'free' }, 'cost', undefined],
    [{ status: 'done' }, 'cost', undefined],
  ];
  for (const [body, at, amount] of costs) {
    it(`${JSON.stringify(body)} costs ${amount ?? 'an unknown amount'}`, () => {
      const { cost } = task(body, `task: { cost: { at: ${at}, unit: credit } }`);
      assert.deepEqual(cost, amount === undefined ? undefined : { amount, unit: 'credit' });
    });
  }

  it('gives its URL the life that the profile says, unless it says more itself', () => {
    const life = 'task: { urlLife: 1h }';
    const body = { id: 't', status: 'done', url };
    assert.deepEqual(task(body, life).urlExpiry, { at: 3_600_000, by: 'profile' });
    assert.equal(task({ ...body, expires_at: 1_900_000_000 }, life).urlExpiry?.by, 'answer');
    assert.equal(task(body).urlExpiry, undefined);
  });

  it('tells no cost by default', () => assert.equal(task({ status: 'done', credits: 20 }).cost, undefined));

  it('tells a throttle by a code of the profile, and a refusal of all polls by its status', () => {
    const trouble = (status: number, body: unknown): unknown => {
      const line = 'outcomes: { +codes: { code: busy, outcome: throttled } }';
      const report = readTask(answer(status, body), dialectOf(profileWith(line)), { now });
      return report.kind === 'transient' ? report.trouble : report.kind;
    };
    assert.equal(trouble(200, { code: 'busy' }), 'throttled');
    assert.equal(trouble(400, { code: 'insufficient_user_quota' }), 'broken');
    assert.equal(trouble(403, { code: 'insufficient_user_quota' }), 'refused');
    assert.equal(trouble(303, ''), 'refused');
    assert.equal(trouble(400, { code: 'invalid_request' }), 'broken');
  });
});
