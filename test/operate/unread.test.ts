import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { explainUnread } from '../../src/operate/unread.ts';
import type { Unread } from '../../src/ledger/read/unread.ts';

function explain(what: Unread['what'], body: unknown, word: string | null = null): string {
  const { line, told } = explainUnread(
    { what, word, body: typeof body === 'string' ? body : JSON.stringify(body) },
    'mine',
  );
  assert.ok(told.includes(line));
  return line;
}

describe('the line that a profile lacks', () => {
  it('names the place of the task id', () =>
    assert.equal(explain('task-id', { made: { work_id: 'w-7' } }), 'create: { +taskId: [made.work_id] }'));

  it('can be pasted where the place holds brackets', () => {
    const line = explain('task-id', [{ task_id: 'task_64' }]);
    assert.deepEqual(parse(line), { create: { '+taskId': ['[].task_id'] } });
    const video = explain('video', { files: [{ 'web url': 'https://cdn.example/v' }] });
    assert.deepEqual(parse(video), { task: { '+result': ['files[].web url'] } });
  });

  it('is an outcome, if the answer holds a code that the profile does not know', () => {
    const line = explain('task-id', { code: 1302, message: 'too many' }, '1302');
    assert.deepEqual(parse(line), {
      outcomes: { '+codes': [{ code: '1302', status: '4xx', outcome: '…' }] },
    });
    assert.equal(explain('task-id', { code: 1302, request_id: 'r-1' }, '1302'), line);
  });

  it('leaves both open, if an answer holds a code and an id', () =>
    assert.match(
      explain('task-id', { type: 'video', work_id: 'w-7' }, 'video'),
      /^outcomes: .*, or create: \{ \+taskId: \[work_id\] \} if the row was accepted$/,
    ));

  it('is not asked for because of a page: then the address may be wrong', () => {
    const page = { what: 'task-id', word: null, body: '<!doctype html><title>x</title>' } as const;
    const { told } = explainUnread(page, 'mine');
    assert.match(told, /is a page, not JSON: VIDBATCH_BASE_URL may be wrong/);
    assert.doesNotMatch(told, /taskId/);
  });
});
