import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { readTask } from '../../src/provider/task.ts';
import type { Answer } from '../../src/provider/answer.ts';
import type { TaskReport } from '../../src/provider/outcome.ts';

const now = 0;

function read(body: unknown, status = 200, headers: Answer['headers'] = {}): TaskReport {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readTask({ status, headers, body: text }, { now });
}

function task(body: unknown): Partial<Extract<TaskReport, { kind: 'task' }>> {
  const report = read(body);
  assert.ok(report.kind === 'task');
  const { body: _raw, kind: _kind, ...rest } = report;
  return rest;
}

describe('the status of a task', () => {
  const words: Record<string, string[]> = {
    queued: ['queued', 'submitted', 'NOT_START', 'created', 'Queueing'],
    in_progress: ['in_progress', 'processing', 'RUNNING', 'IN_PROGRESS'],
    completed: ['completed', 'succeeded', 'SUCCESS'],
    failed: ['failed', 'FAILURE', 'cancelled', 'timeout', 'expired'],
    unknown: ['', 'UNKNOWN', 'paused', 'constructor'],
  };
  for (const [status, written] of Object.entries(words)) {
    for (const rawStatus of written) {
      it(`"${rawStatus}" is ${status}`, () => {
        assert.deepEqual(task({ id: 't', status: rawStatus }), { status, rawStatus });
      });
    }
  }
});

describe('a task', () => {
  it('is understood flat', () => {
    const url = 'https://cdn.example/v.mp4?sig=1';
    const flat = { task_id: 't', status: 'completed', progress: 100 };
    const expected = { status: 'completed', rawStatus: 'completed', progress: 100, resultUrl: url };
    assert.deepEqual(task({ ...flat, video_url: url, error: null }), expected);
    assert.deepEqual(task({ ...flat, url }), expected);
    assert.deepEqual(task({ ...flat, result: { video_url: url } }), expected);
  });

  it('is understood wrapped', () => {
    const data = {
      task_id: 't',
      status: 'FAILURE',
      fail_reason: 'no\nway',
      result_url: '',
      progress: '100%',
    };
    const expected = { status: 'failed', rawStatus: 'FAILURE', progress: 100, failReason: 'no way' };
    assert.deepEqual(task({ code: 'success', message: '', data }), expected);
  });

  it('that is finished may have its URL in the reason of its failure', () => {
    const data = { status: 'SUCCESS', fail_reason: 'https://cdn.example/v.mp4' };
    const expected = { status: 'completed', rawStatus: 'SUCCESS', resultUrl: 'https://cdn.example/v.mp4' };
    assert.deepEqual(task({ code: 'success', data }), expected);
  });

  it('says why it failed in every shape', () => {
    for (const error of ['words', { message: 'words', code: 'x' }, { code: 'words' }]) {
      assert.equal(task({ status: 'failed', error }).failReason, 'words');
    }
  });

  const progress: [unknown, number | undefined][] = [
    [0, 0],
    ['50%', 50],
    ['50', 50],
    [' 7 % ', 7],
    [33.4, 33],
    [250, 100],
    [-1, 0],
    ['half', undefined],
    [null, undefined],
    ['', undefined],
  ];
  for (const [value, percent] of progress) {
    it(`at ${JSON.stringify(value)} is at ${percent ?? 'an unknown'} percent`, () => {
      assert.equal(task({ status: 'running', progress: value }).progress, percent);
    });
  }
});

describe('a task that the provider does not know', () => {
  for (const status of [400, 404, 200]) {
    it(`is missing with HTTP ${status}`, () => {
      assert.equal(
        read({ code: 'task_not_exist', message: 'task_not_exist', data: null }, status).kind,
        'missing',
      );
      assert.equal(read({ error: { code: 'task_not_exist', message: 'no' } }, status).kind, 'missing');
    });
  }

  it('is not missing because of a page: that is a wrong base URL', () => {
    const report = read('<title>404 Not Found</title>', 404);
    assert.deepEqual(report, { kind: 'transient', trouble: 'refused', message: 'HTTP 404: 404 Not Found' });
  });
});

describe('an answer that says nothing about the task', () => {
  it('is to be asked again, after what the provider asks for', () => {
    assert.deepEqual(read('', 429, { 'retry-after': '2' }), {
      kind: 'transient',
      trouble: 'throttled',
      message: 'HTTP 429: no readable task',
      afterMs: 2000,
    });
  });

  const others: [number, unknown][] = [
    [500, { status: 'failed' }],
    [502, '<title>Bad Gateway</title>'],
    [401, { error: { message: 'bad key' } }],
    [302, ''],
    [200, '<!doctype html>'],
    [200, '{"status":"comp'],
    [200, { code: 'error', message: 'later', data: null }],
    [200, []],
  ];
  for (const [status, body] of others) {
    it(`such as ${status} ${JSON.stringify(body)}`, () => {
      assert.equal(read(body, status).kind, 'transient');
    });
  }

  it('gets a report, whatever it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 700 }), fc.oneof(fc.json(), fc.string()), (status, body) => {
        const report = readTask({ status, headers: {}, body }, { now });
        assert.ok(report.kind !== 'task' || (status >= 200 && status <= 299));
      }),
    );
  });
});
