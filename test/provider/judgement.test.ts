import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from '../../src/provider/answer.ts';
import type { OutcomeKind } from '../../src/core/outcome.ts';
import type { RefusalKind } from '../../src/provider/profile/outcome-schema.ts';
import { answer, gateway, HTML, judge, openai, vendor } from './answers.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

describe('an acceptance', () => {
  it('prefers task_id to id, and keeps the status as it was written', () => {
    const outcome = judge(answer(200, { id: 'x', task_id: 'task_9', status: 'Queued' }), { now });
    assert.ok(outcome.kind === 'accepted');
    assert.equal(outcome.taskId, 'task_9');
    assert.equal(outcome.providerStatus, 'Queued');
    assert.equal(outcome.evidence.phase, 'answered');
  });

  it('counts when the answer was cut off after a whole object', () => {
    const cutOff = { code: 'UND_ERR_SOCKET', message: 'other side closed' };
    const outcome = judge({ ...answer(200, { id: 'task_1' }), cutOff }, { now });
    assert.equal(outcome.kind, 'accepted');
    assert.equal(outcome.evidence.phase, 'answering');
  });
});

describe('what an answer says to a person', () => {
  const said = (status: number, body: unknown): unknown =>
    judge(answer(status, body), { now }).evidence.message;

  it('is the text that the vendor gives, without its JSON', () => {
    assert.equal(
      said(400, gateway('fail_to_fetch_task', '{"reason":"AuditSubmitIllegal"}')),
      'AuditSubmitIllegal',
    );
    assert.equal(said(400, gateway('invalid_request', '{"code":3,"message":"too long"}')), 'too long');
  });

  it('is the message as it is, if it is no JSON or holds nothing to read', () => {
    assert.equal(said(400, gateway('invalid_request', '{"a":1}')), '{"a":1}');
    assert.equal(said(400, gateway('invalid_request', 'too {long}')), 'too {long}');
  });

  it('has the code of a 2xx without a task id, unless the code says that all is well', () => {
    const code = (body: unknown): unknown => judge(answer(200, body), { now }).evidence.code;
    assert.equal(code({ code: 1302, message: 'too many' }), '1302');
    assert.equal(code({ code: 'success', data: {} }), 'NO_TASK_ID');
    assert.equal(code({ code: 0, work: 'w' }), 'NO_TASK_ID');
  });
});

describe('the task id', () => {
  const idOf = (body: unknown): string | undefined => {
    const outcome = judge(answer(200, body), { now });
    return outcome.kind === 'accepted' ? outcome.taskId : undefined;
  };
  const places: [name: string, body: unknown, id: string | undefined][] = [
    ['stands inside data', { code: 'success', data: { task_id: 'task_1', status: 'queued' } }, 'task_1'],
    ['is the id inside data', { code: 0, data: { id: 'x1' } }, 'x1'],
    ['is data itself', { code: 'success', data: 'task_1' }, 'task_1'],
    ['inside data comes before the id of the request', { id: 'req-1', data: { task_id: 't1' } }, 't1'],
    ['is known by its first letters', { id: 'req-1', data: { id: 'task_1' } }, 'task_1'],
    ['may be written taskId', { taskId: 'x1' }, 'x1'],
    ['may be written taskId inside data', { code: 0, data: { taskId: 'x1' } }, 'x1'],
    ['is in an event of a stream', 'event: made\ndata: {"task_id":"x1","status":"queued"}\n\n', 'x1'],
    [
      'is in one of several events',
      ': hi\n\ndata: {"p":0}\n\ndata: {"taskId":"x1"}\n\ndata: [DONE]\n\n',
      'x1',
    ],
    ['comes in each event', 'data: {"task_id":"x1"}\r\n\r\ndata: {"task_id":"x1"}\r\n\r\n', 'x1'],
    ['is in events without an empty line', 'data: {"id":"task_1"}\ndata: [DONE]\n', 'task_1'],
    ['is in an event of several lines', 'data: {"task_id":\ndata: "x1"}\n\n', 'x1'],
    ['is not one of two in a stream', 'data: {"task_id":"x1"}\n\ndata: {"task_id":"x2"}\n\n', undefined],
    ['is not the id of an event', 'id: task_1\ndata: {"id":"x1"}\n\n', undefined],
    ['is in no list', [{ task_id: 'x1' }], undefined],
    ['is in no text that holds an event', 'see\ndata: {"task_id":"x1"}\n', undefined],
    ['of 64 bits keeps its digits', '{"task_id":738529527931269425}', '738529527931269425'],
    ['of 64 bits inside data keeps them', '{"data":{"id":18446744073709551615}}', '18446744073709551615'],
    ['is no fraction', '{"task_id":1234567890123456.5}', undefined],
    ['is no negative number', '{"task_id":-738529527931269425}', undefined],
    ['is no power', '{"task_id":1e300}', undefined],
    ['that lost bytes is none', '{"task_id":"task_\ufffd"}', undefined],
  ];
  for (const [name, body, id] of places) it(name, () => assert.equal(idOf(body), id));
});

describe('a stream of events', () => {
  const kind = (status: number, body: string): OutcomeKind => judge(answer(status, body), { now }).kind;

  it('without a readable task id is uncertain, with any other content', () => {
    for (const data of [
      '{"code":"insufficient_user_quota"}',
      '{"error":{"code":"rate_limit"}}',
      '[DONE]',
      '{"task_',
    ])
      assert.equal(kind(200, `data: ${data}\n\n`), 'uncertain', data);
  });

  it('that names a task under a refusal is uncertain', () => {
    for (const status of [400, 402, 429, 503])
      assert.equal(kind(status, 'data: {"taskId":"x1"}\n\n'), 'uncertain', String(status));
  });

  it('keeps the first status', () => {
    const stream = 'data: {"task_id":"x1","status":"queued"}\n\ndata: {"status":"running"}\n\n';
    const outcome = judge(answer(200, stream), { now });
    assert.ok(outcome.kind === 'accepted');
    assert.equal(outcome.providerStatus, 'queued');
  });
});

describe('an answer that names a task is never sent again, though it refuses:', () => {
  const inner = JSON.stringify({ code: 'CreditInsufficient', task_id: 'task_1' });
  const codes = { busy: 'not-sent' } as const;
  const answers: [name: string, status: number, body: unknown][] = [
    ['a limit', 429, { code: 'rate_limit', task_id: 'task_1' }],
    ['no channel', 503, { error: { code: 'model_not_found' }, task_id: 'task_1' }],
    ['no balance', 402, { code: 'insufficient_user_quota', data: { taskId: 'task_1' } }],
    ['a redirect', 302, { task_id: 738 }],
    ['a wrong row', 400, { code: 'invalid_request', task_id: 'task_1' }],
    ["the vendor's own words", 400, { code: 'fail_to_fetch_task', message: inner }],
    ['a code under 200', 200, { code: 'insufficient_user_quota', data: [{ task_id: 'task_1' }] }],
    ['a named code under 200', 200, { code: 'busy', data: { data: { task_id: 'task_1' } } }],
  ];
  for (const [name, status, body] of answers) {
    it(name, () => assert.equal(judge(answer(status, body), { now, codes }).kind, 'uncertain'));
  }

  const lettered: [name: string, status: number, body: unknown][] = [
    ['an id under a limit', 429, { id: 'task_X2', status: 'queued' }],
    ['an id in data', 429, { code: 'rate_limit', data: { id: 'task_X1' } }],
    ['an id in an event', 429, 'data: {"id":"task_X3"}\n\n'],
    ['a name with a dash', 429, { 'task-id': 't-dash' }],
    ['an id that was cut off', 429, '{"id":"task_X7'],
    ['an id with no channel', 503, { id: 'task_X8', error: { code: 'model_not_found' } }],
    ['an id without a balance', 403, { id: 'task_X6', message: 'insufficient balance' }],
    ['an id of a wrong row', 400, { id: 'task_X4', code: 'invalid_request' }],
    ['data itself', 400, { code: 'invalid_request', data: 'task_X5' }],
    ['a task itself', 400, { code: 'invalid_request', task: 'task-X5' }],
    ["an id in the vendor's own words", 400, gateway('fail_to_fetch_task', '{"id":"task_1"}')],
    ['an id of a task under 200', 200, { code: 'insufficient_user_quota', task: { id: 'task_9' } }],
    ['an id in a list under 200', 200, { code: 'insufficient_user_quota', data: [{ id: 'task_9' }] }],
    ['an id spelled in escapes', 429, '{"id":"\\u0074ask_X2"}'],
  ];
  for (const [name, status, body] of lettered) {
    it(`${name}, by its letters`, () => assert.equal(judge(answer(status, body), { now }).kind, 'uncertain'));
  }

  it('an id of a request, and a code about tasks, name none', () => {
    const refusals: [number, unknown, OutcomeKind][] = [
      [429, { id: 'req-1', request_id: 'task_1', code: 'rate_limit' }, 'throttled'],
      [429, 'data: {"id":"req-1"}\n\n', 'throttled'],
      [400, { id: 'req-1', code: 'task_prompt_invalid', data: { id: 7 } }, 'rejected'],
      [403, { id: 'req-1', message: 'insufficient balance for task_1', task: 'video' }, 'halted'],
      [503, { id: 'req-1', error: { code: 'model_not_found', type: 'task_error' } }, 'not-sent'],
      [200, { id: 'req-1', code: 'insufficient_user_quota' }, 'halted'],
    ];
    for (const [status, body, kind] of refusals) {
      assert.equal(judge(answer(status, body), { now }).kind, kind, JSON.stringify(body));
    }
  });

  it('an empty id names none', () => {
    for (const id of ['', null, 0]) {
      assert.equal(judge(answer(429, { code: 'rate_limit', task_id: id }), { now }).kind, 'throttled');
    }
  });
});

describe('an answer that was cut off', () => {
  const cutOff = { code: 'UND_ERR_SOCKET', message: 'other side closed' };
  const cases: [number, OutcomeKind][] = [
    [200, 'uncertain'],
    [400, 'uncertain'],
    [422, 'uncertain'],
    [401, 'halted'],
    [404, 'halted'],
    [429, 'throttled'],
    [503, 'uncertain'],
  ];
  for (const [status, kind] of cases) {
    it(`with ${status} is ${kind}`, () => {
      const outcome = judge({ ...answer(status, '{"code":"inva'), cutOff }, { now });
      assert.equal(outcome.kind, kind);
    });
  }

  it('still rejects when the whole refusal came', () => {
    const outcome = judge({ ...answer(400, gateway('invalid_request')), cutOff }, { now });
    assert.equal(outcome.kind, 'rejected');
  });
});

describe('the wait that a refusal asks for', () => {
  const wait = (status: number, body: unknown, headers: Answer['headers']): number | undefined => {
    const outcome = judge(answer(status, body, headers), { now });
    return 'retry' in outcome ? outcome.retry.afterMs : undefined;
  };

  it('is in seconds', () => assert.equal(wait(429, '', { 'retry-after': '12' }), 12_000));
  it('is absent without the header', () => assert.equal(wait(429, '', {}), undefined));
  it('is not negative', () => assert.equal(wait(429, '', { 'retry-after': '-12' }), 0));
  it('is at most an hour', () => assert.equal(wait(429, '', { 'retry-after': '86400' }), 3_600_000));
  it('also comes with a model that has no channel', () =>
    assert.equal(wait(503, openai('model_not_found'), { 'retry-after': '3' }), 3000));
  it('takes the first of two headers', () =>
    assert.equal(wait(429, '', { 'retry-after': ['1', '2'] }), 1000));

  it('as a date is measured against the provider’s own clock', () => {
    const headers = { date: 'Sun, 01 Mar 2020 00:00:00 GMT', 'retry-after': 'Sun, 01 Mar 2020 00:00:20 GMT' };
    assert.equal(wait(429, '', headers), 20_000);
  });

  const ways: [name: string, body: unknown, headers: Answer['headers'], ms: number | undefined][] = [
    ['in milliseconds', '', { 'retry-after-ms': '4000', 'retry-after': '1' }, 4000],
    ['in the body', { retry_after: 4 }, {}, 4000],
    ['in the body as text', { error: { message: 'busy', retry_after: '4' } }, {}, 4000],
    ['in the body in milliseconds', { retry_after_ms: 4000 }, {}, 4000],
    ['in the body after the header', { retry_after: 4 }, { 'retry-after': '2' }, 2000],
    ['with the reset of a limit', '', { 'x-ratelimit-reset': '4' }, 4000],
    ['with a reset of requests', '', { 'x-ratelimit-reset-requests': '1m4s' }, 64_000],
    ['with a reset in milliseconds', '', { 'x-ratelimit-reset-requests': '120ms' }, 120],
    ['with a reset at a second', '', { 'x-ratelimit-reset': String(now / 1000 + 4) }, 4000],
    ['with a reset at a millisecond', '', { 'x-ratelimit-reset': String(now + 4000) }, 4000],
    ['with a reset at a date', '', { 'x-ratelimit-reset': '2026-03-01T12:00:04Z' }, 4000],
    [
      'not with a limit that is not reached',
      '',
      { 'x-ratelimit-reset': '9', 'x-ratelimit-remaining': '3' },
      undefined,
    ],
    [
      'not with words',
      { retry_after: 'soon' },
      { 'x-ratelimit-reset': 'soon', 'retry-after-ms': '-' },
      undefined,
    ],
  ];
  for (const [name, body, headers, ms] of ways)
    it(`comes ${name}`, () => assert.equal(wait(429, body, headers), ms));
  it('of a limit is for a refusal for the limit alone', () =>
    assert.equal(wait(503, openai('model_not_found'), { 'x-ratelimit-reset': '9' }), undefined));

  it('as a date without a Date header is measured against ours', () => {
    assert.equal(wait(429, '', { 'retry-after': 'Sun, 01 Mar 2026 12:00:20 GMT' }), 20_000);
  });
});

describe('moved codes', () => {
  const kind = (status: number, body: unknown, codes: Record<string, RefusalKind>): OutcomeKind =>
    judge(answer(status, body), { now, codes }).kind;

  it('decide before the table', () => {
    assert.equal(kind(500, gateway('do_request_failed'), { do_request_failed: 'not-sent' }), 'not-sent');
    assert.equal(kind(400, gateway('strange'), { strange: 'throttled' }), 'throttled');
  });

  it('reach inner codes by name and by path', () => {
    const path = 'fail_to_fetch_task/AuditSubmitIllegal';
    assert.equal(kind(400, vendor('AuditSubmitIllegal'), { AuditSubmitIllegal: 'halted' }), 'halted');
    assert.equal(kind(400, vendor('AuditSubmitIllegal'), { [path]: 'halted' }), 'halted');
    assert.equal(kind(400, gateway('AuditSubmitIllegal'), { [path]: 'halted' }), 'rejected');
  });

  it('of the wrapper leave known inner codes alone', () => {
    const codes = { fail_to_fetch_task: 'rejected' } as const;
    assert.equal(kind(400, gateway('fail_to_fetch_task', 'words'), codes), 'rejected');
    assert.equal(kind(400, vendor('CreditInsufficient'), codes), 'halted');
  });

  it('count under a 2xx without a task id, too', () => {
    assert.equal(kind(200, { code: 1302, message: 'busy' }, { 1302: 'throttled' }), 'throttled');
    assert.equal(kind(200, { id: 'req-1', reason: 'busy' }, { busy: 'not-sent' }), 'not-sent');
    assert.equal(kind(200, vendor('Busy'), { 'fail_to_fetch_task/Busy': 'throttled' }), 'throttled');
  });

  it('never make anything else of a task id', () => {
    assert.equal(kind(200, { task_id: 't', code: 'busy' }, { busy: 'not-sent' }), 'accepted');
  });

  it('make nothing of a 2xx that was cut off', () => {
    const cutOff = { code: 'UND_ERR_SOCKET', message: 'other side closed' };
    const options = { now, codes: { busy: 'not-sent' } as const };
    assert.equal(judge({ ...answer(200, { code: 'busy' }), cutOff }, options).kind, 'uncertain');
  });

  it('do not reach properties that every object has', () => {
    assert.equal(kind(400, gateway('constructor'), {}), 'rejected');
    assert.equal(kind(500, gateway('__proto__'), {}), 'uncertain');
  });
});

describe('the evidence', () => {
  it('has the innermost message on one printable line of at most 300 characters', () => {
    const inner = JSON.stringify({ reason: 'X', message: `a\u001b[31m\r\n\0b\u202e ${'长'.repeat(400)}` });
    const { message = '' } = judge(answer(400, gateway('fail_to_fetch_task', inner)), { now }).evidence;
    assert.match(message, /^a \[31m b 长+…$/);
    assert.equal(message.length, 300);
  });

  it('has the title of a page', () => {
    assert.equal(judge(answer(502, HTML), { now }).evidence.message, '502 Bad Gateway');
  });

  it('names the host that a redirect points to, and nothing of its path', () => {
    const at = (location: string): string | undefined =>
      judge(answer(302, '', { location }), { now }).evidence.message;
    assert.match(
      at('https://elsewhere.example/login?token=secret') ?? '',
      /redirects to elsewhere\.example;/,
    );
    assert.match(at('/login') ?? '', /another path of the same host/);
    assert.match(at('http://[') ?? '', /an unreadable address/);
  });

  it('keeps at most 64 KiB of the body, without NUL and without half a character', () => {
    const { body = '' } = judge(answer(500, `\0${'长'.repeat(40_000)}`), { now }).evidence;
    assert.ok(Buffer.byteLength(body) <= 65_536 && Buffer.byteLength(body) > 65_530);
    assert.match(body, /^\ufffd长+$/);
  });

  it('keeps the request ids', () => {
    const headers = { 'x-oneapi-request-id': '2026a', 'cf-ray': 'b' };
    assert.equal(
      judge(answer(500, '', headers), { now }).evidence.requestId,
      'x-oneapi-request-id=2026a cf-ray=b',
    );
  });

  it('keeps the headers of who answered, redacted, without cookies', () => {
    const redact = (text: string): string => text.replaceAll('SECRET', '*');
    const headers = {
      server: 'cloudflare',
      via: ['1.1 a', '1.1 b\r\n\u001b[31m'],
      'x-echo': 'Bearer SECRET',
      'set-cookie': ['session=1'],
      authorization: 'Bearer x',
    };
    for (const status of [200, 400, 429, 502]) {
      assert.deepEqual(judge(answer(status, '{"id":"t"}', headers), { now, redact }).evidence.headers, {
        server: 'cloudflare',
        via: '1.1 a, 1.1 b [31m',
        'x-echo': 'Bearer *',
      });
    }
    assert.equal(judge(answer(502, ''), { now }).evidence.headers, undefined);
  });

  it('keeps at most 4 KiB of headers, the short ones first', () => {
    const many = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`x-${i}`, '"长'.repeat(i === 0 ? 900 : 50)]),
    );
    const { headers = {} } = judge(answer(502, '', { ...many, server: 'nginx' }), { now }).evidence;
    assert.ok(Buffer.byteLength(JSON.stringify(headers)) <= 4096);
    assert.equal(headers['server'], 'nginx');
    assert.ok(!('x-0' in headers) && 'x-1' in headers);
  });

  it('is redacted before it is cut', () => {
    const redact = (text: string): string => text.replaceAll('SECRET', '*');
    const { message, body } = judge(answer(400, gateway('c', `${'x'.repeat(297)}SECRET`)), {
      now,
      redact,
    }).evidence;
    assert.equal(message, `${'x'.repeat(297)}*`);
    assert.ok(body !== undefined && !body.includes('SECRET'));
  });
});
