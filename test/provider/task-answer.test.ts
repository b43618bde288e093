import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { readTask } from '../../src/provider/task-answer.ts';
import { dialect } from './answers.ts';
import type { Answer } from '../../src/provider/answer.ts';
import type { TaskReport } from '../../src/core/outcome.ts';

const now = 0;

function read(body: unknown, status = 200, headers: Answer['headers'] = {}): TaskReport {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readTask({ status, headers, body: text }, dialect(), { now });
}

function task(body: unknown): Partial<Extract<TaskReport, { kind: 'task' }>> {
  const report = read(body);
  assert.ok(report.kind === 'task');
  const { body: _raw, kind: _kind, ...rest } = report;
  return rest;
}

describe('the status of a task', () => {
  const words: Record<string, string[]> = {
    queued: ['queued', 'submitted', 'NOT_START', 'created', 'Queueing', 'PENDING', 'Preparing'],
    in_progress: ['in_progress', 'processing', 'RUNNING', 'IN_PROGRESS', 'generating'],
    completed: ['completed', 'complete', 'succeeded', 'succeed', 'SUCCESS', 'done', 'FINISHED'],
    failed: ['failed', 'Fail', 'FAILURE', 'error', 'rejected', 'cancelled', 'canceled', 'timeout', 'expired'],
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

  const url = 'https://cdn.example/v.mp4';
  const places: Record<string, unknown>[] = [
    { url: { video_url: url } },
    { metadata: { url } },
    { video_urls: [url] },
    { results: [{ url }] },
    { results: [{ cover: 'https://cdn.example/c.png' }, { video_url: url }] },
    { output: url },
    { output: [url] },
    { content: { video_url: url } },
    { creations: [{ url, cover_url: 'https://cdn.example/c.png' }] },
    { data: { creations: [{ url }] } },
    { video: { url } },
    { video_url: '', output: [{ video: { url } }] },
    { result_url: 'files/v.mp4', metadata: { url } },
  ];
  for (const place of places) {
    it(`has its URL in ${JSON.stringify(place)}`, () => {
      assert.equal(task({ id: 't', status: 'completed', ...place }).resultUrl, url);
      assert.equal(task({ data: { id: 't', status: 'completed', ...place } }).resultUrl, url);
    });
  }

  it('has no URL in words', () => {
    const words = { output: 'a film of https://x.example and rain', content: 'rain', results: ['rain'] };
    assert.equal(task({ id: 't', status: 'completed', ...words }).resultUrl, undefined);
  });

  it('has its status in state or task_status, too', () => {
    assert.equal(task({ id: 't', state: 'success' }).status, 'completed');
    assert.equal(task({ code: 0, data: { task_id: 't', task_status: 'succeed' } }).status, 'completed');
  });

  it('is not the status of the request', () => {
    assert.equal(
      task({ status: 'success', data: { task_id: 't', status: 'running' } }).status,
      'in_progress',
    );
    assert.equal(task({ status: 'success', data: { status: 'running' } }).status, 'in_progress');
    assert.equal(task({ status: 'error', message: 'try later' }).status, 'unknown');
  });

  const errors: unknown[] = [{ error: 'words' }, { error: { message: 'words' } }, { fail_reason: 'words' }];
  for (const error of errors) {
    it(`that is finished with ${JSON.stringify(error)} and without a video has failed`, () => {
      const { status, rawStatus, failReason } = task({ id: 't', status: 'completed', ...(error as object) });
      assert.deepEqual(
        { status, rawStatus, failReason },
        { status: 'failed', rawStatus: 'completed', failReason: 'words' },
      );
    });
    it(`that is finished with ${JSON.stringify(error)} and with a video is completed`, () => {
      assert.equal(task({ id: 't', status: 'completed', url, ...(error as object) }).status, 'completed');
    });
  }

  it('that is finished without a video and without an error is completed', () => {
    for (const error of [null, '', {}, { code: '', message: '' }]) {
      assert.equal(task({ id: 't', status: 'completed', error, code: 'success' }).status, 'completed');
    }
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

  it('gets a report for any content', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 700 }), fc.oneof(fc.json(), fc.string()), (status, body) => {
        const report = readTask({ status, headers: {}, body }, dialect(), { now });
        assert.ok(report.kind !== 'task' || (status >= 200 && status <= 299));
      }),
    );
  });
});
