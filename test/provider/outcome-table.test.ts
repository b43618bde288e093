import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { OutcomeKind } from '../../src/core/outcome.ts';
import { checkCodes } from '../../src/provider/outcome-table.ts';
import { answer, gateway, HTML, judge, openai, vendor } from './answers.ts';
import { VidbatchError } from '../../src/core/errors.ts';

const now = 0;

const TABLE: [status: number, body: unknown, kind: OutcomeKind, code?: string][] = [
  [200, { id: 'a', task_id: 'b', status: 'queued' }, 'accepted'],
  [201, { id: 'a' }, 'accepted'],
  [200, { id: 'a', task_id: '' }, 'accepted'],
  [200, { id: 7 }, 'accepted'],
  [200, {}, 'uncertain', 'NO_TASK_ID'],
  [200, { id: '' }, 'uncertain'],
  [200, { id: '  ' }, 'uncertain'],
  [200, { id: null, task_id: {} }, 'uncertain'],
  [200, { id: 0 }, 'uncertain'],
  [200, '{"id":12345678901234567890}', 'accepted'],
  [200, { code: 'success', data: { task_id: 'b' } }, 'accepted'],
  [200, { code: 0, data: { id: 'b' } }, 'accepted'],
  [200, { code: 200, message: 'ok', data: 'task_b' }, 'accepted'],
  [200, { code: 200, data: 'words' }, 'uncertain'],
  [200, { id: 'a', error: null, code: '' }, 'accepted'],
  [200, { id: 'a', error: { code: '', message: '', param: null } }, 'accepted'],
  [200, { id: 'req-1', code: 'insufficient_user_quota' }, 'halted', 'insufficient_user_quota'],
  [200, { id: 'req-1', code: 'strange' }, 'uncertain', 'strange'],
  [200, { id: 'req-1', code: 1302, message: 'busy' }, 'uncertain', '1302'],
  [200, { id: 'req-1', error: { message: 'busy' } }, 'uncertain'],
  [200, { id: 'req-1', success: false }, 'uncertain'],
  [200, { id: 'req-1', data: { error: 'busy' } }, 'uncertain'],
  [200, { id: 'req-1', code: 'success', data: { id: 'task_1', error: { code: 'late' } } }, 'accepted'],
  [200, { task_id: 'b', status: 'failed', error: { code: 'AuditSubmitIllegal' } }, 'accepted'],
  [200, gateway('invalid_request'), 'rejected', 'invalid_request'],
  [200, gateway('do_request_failed'), 'uncertain', 'do_request_failed'],
  [200, gateway('rate_limit', 'insufficient balance'), 'uncertain', 'rate_limit'],
  [200, vendor('CreditInsufficient'), 'halted', 'fail_to_fetch_task/CreditInsufficient'],
  [200, vendor('NeverSeenBefore'), 'uncertain'],
  [200, { id: 'a\0b' }, 'uncertain'],
  [200, { id: 'x'.repeat(513) }, 'uncertain'],
  [200, ['task_1'], 'uncertain'],
  [200, '"task_1"', 'uncertain'],
  [200, '', 'uncertain'],
  [204, '', 'uncertain'],
  [200, '<!doctype html><title>Console</title>', 'uncertain'],
  [200, '{"id":"task_1","task_', 'uncertain'],
  [200, gateway('insufficient_user_quota'), 'halted', 'insufficient_user_quota'],
  [200, openai('model_not_found'), 'uncertain', 'model_not_found'],
  [301, '', 'halted', 'REDIRECT'],
  [302, HTML, 'halted'],
  [307, gateway('invalid_request'), 'halted'],
  [308, '', 'halted'],
  [303, '', 'uncertain', 'REDIRECT'],
  [300, '', 'uncertain'],
  [304, '', 'uncertain'],
  [400, gateway('invalid_request'), 'rejected', 'invalid_request'],
  [400, openai('some_new_code'), 'rejected', 'some_new_code'],
  [400, openai(''), 'rejected', 'new_api_error'],
  [400, { error: 'invalid_grant', error_description: 'words' }, 'rejected', 'invalid_grant'],
  [400, { detail: 'words' }, 'rejected'],
  [400, { code: 40_001, msg: 'words' }, 'rejected', '40001'],
  [400, HTML, 'rejected'],
  [400, 'words', 'rejected'],
  [400, '', 'rejected'],
  [400, gateway('do_request_failed'), 'uncertain', 'do_request_failed'],
  [400, vendor('ImageDownloadFailure'), 'rejected', 'fail_to_fetch_task/ImageDownloadFailure'],
  [400, vendor('TaskPromptPolicyViolation'), 'rejected'],
  [400, vendor('AuditSubmitIllegal'), 'rejected'],
  [400, vendor('CreationPolicyViolation'), 'rejected'],
  [500, vendor('CreationPolicyViolation'), 'rejected'],
  [400, vendor('CreditInsufficient'), 'halted', 'fail_to_fetch_task/CreditInsufficient'],
  [500, vendor('CreditInsufficient'), 'halted'],
  [400, vendor('NeverSeenBefore'), 'rejected', 'fail_to_fetch_task/NeverSeenBefore'],
  [429, vendor('NeverSeenBefore'), 'throttled'],
  [500, vendor('NeverSeenBefore'), 'uncertain'],
  [400, gateway('fail_to_fetch_task', ''), 'uncertain', 'fail_to_fetch_task'],
  [400, gateway('fail_to_fetch_task', HTML), 'uncertain'],
  [400, gateway('fail_to_fetch_task', '{"code":400,"reas'), 'uncertain'],
  [400, gateway('fail_to_fetch_task', 'words'), 'uncertain'],
  [429, gateway('fail_to_fetch_task', 'slow down'), 'throttled'],
  [401, gateway('fail_to_fetch_task', 'bad key upstream'), 'halted'],
  [400, gateway('fail_to_fetch_task', JSON.stringify(vendor('CreditInsufficient'))), 'halted'],
  [
    400,
    gateway('fail_to_fetch_task', JSON.stringify(JSON.stringify({ reason: 'AuditSubmitIllegal' }))),
    'rejected',
  ],
  [400, gateway('fail_to_fetch_task', 'status 400, body: {"reason":"CreditInsufficient"}'), 'halted'],
  [400, { code: 'fail_to_fetch_task', message: { reason: 'CreditInsufficient' } }, 'halted'],
  [400, openai('fail_to_fetch_task', '{"error":{"code":"AuditSubmitIllegal"}}'), 'rejected'],
  [400, gateway('fail_to_fetch_task', JSON.stringify(gateway('do_request_failed'))), 'uncertain'],
  [503, gateway('fail_to_fetch_task', JSON.stringify(openai('model_not_found'))), 'not-sent'],
  [401, openai(''), 'halted', 'new_api_error'],
  [401, '', 'halted'],
  [402, '', 'halted'],
  [403, openai('access_denied'), 'halted'],
  [403, gateway('insufficient_user_quota'), 'halted', 'insufficient_user_quota'],
  [404, HTML, 'halted'],
  [404, openai('model_not_found'), 'halted', 'model_not_found'],
  [405, '', 'halted'],
  [400, gateway('insufficient_user_quota'), 'halted'],
  [429, openai('insufficient_quota'), 'halted'],
  [400, openai('unknown', '用户额度不足, 剩余额度: 0'), 'halted'],
  [400, gateway('invalid_request', 'the prompt "余额不足" is refused'), 'rejected'],
  [409, gateway('conflict', 'insufficient balance'), 'uncertain'],
  [406, '', 'rejected'],
  [413, gateway('read_request_body_failed'), 'rejected', 'read_request_body_failed'],
  [415, '', 'rejected'],
  [418, '', 'rejected'],
  [422, { detail: [{ loc: ['body'] }] }, 'rejected'],
  [451, '', 'rejected'],
  [408, openai('model_not_found'), 'uncertain'],
  [409, '', 'uncertain'],
  [425, '', 'uncertain'],
  [429, '', 'throttled'],
  [429, HTML, 'throttled'],
  [429, openai('rate_limit'), 'throttled', 'rate_limit'],
  [500, gateway('do_request_failed'), 'uncertain', 'do_request_failed'],
  [500, gateway('unmarshal_response_failed'), 'uncertain'],
  [500, gateway('invalid_request'), 'uncertain'],
  [500, gateway('insufficient_user_quota'), 'uncertain'],
  [500, openai('model_not_found'), 'uncertain'],
  [502, HTML, 'uncertain'],
  [503, openai('model_not_found'), 'not-sent', 'model_not_found'],
  [503, gateway('model_not_found'), 'not-sent'],
  [503, HTML, 'uncertain'],
  [503, '', 'uncertain'],
  [504, HTML, 'uncertain'],
  [524, HTML, 'uncertain'],
  [600, '', 'uncertain'],
  [199, { id: 'a' }, 'uncertain'],
  [0, { id: 'a' }, 'uncertain'],
];

describe('the outcome table', () => {
  for (const [status, body, kind, code] of TABLE) {
    it(`${status} ${JSON.stringify(body).slice(0, 90)} is ${kind}`, () => {
      const outcome = judge(answer(status, body), { now });
      assert.equal(outcome.kind, kind);
      assert.equal(outcome.evidence.httpStatus, status);
      if (code !== undefined) assert.equal(outcome.evidence.code, code);
    });
  }
});

describe('any answer at all', () => {
  const text = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      HTML,
      '',
      '{',
      '['.repeat(100_000),
      `${'{"message":'.repeat(50_000)}1`,
      `${'{"error":'.repeat(5000)}1${'}'.repeat(5000)}`,
    ),
    fc.json().map((inner) => JSON.stringify(gateway('fail_to_fetch_task', inner))),
    fc
      .record({ id: fc.jsonValue(), task_id: fc.jsonValue(), code: fc.jsonValue(), error: fc.jsonValue() })
      .map((value) => JSON.stringify(value)),
  );
  const headers = fc.dictionary(
    fc.constantFrom('retry-after', 'date', 'location', 'x-request-id'),
    fc.oneof(fc.string(), fc.array(fc.string())),
  );

  it('gets an outcome, accepted only as a 2xx with a task id, and evidence that can be stored', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1, max: 1000 }), text, headers, (status, body, given) => {
        const outcome = judge({ status, headers: given, body }, { now });
        if (outcome.kind === 'accepted') {
          assert.ok(status >= 200 && status <= 299 && outcome.taskId.trim() !== '');
        }
        if (status >= 500) assert.notEqual(outcome.kind, 'throttled');
        const { evidence } = outcome;
        assert.ok((evidence.message?.length ?? 0) <= 300);
        assert.ok(Buffer.byteLength(evidence.body ?? '') <= 65_536);
        const stored = Object.values(evidence).filter((value) => typeof value === 'string');
        assert.ok(stored.every((value) => value.isWellFormed() && !value.includes('\0')));
      }),
      { numRuns: 500 },
    );
  });
});

describe('codes from the configuration', () => {
  it('may move a code to any kind of refusal', () => {
    const codes = { a: 'rejected', b: 'throttled', c: 'not-sent', d: 'halted', 'e/f': 'uncertain' };
    assert.deepEqual(checkCodes(codes), codes);
  });

  const wrong: [string, string, RegExp][] = [
    [
      'strange',
      'accepted',
      /codes\.strange: "accepted" is not one of rejected, throttled, not-sent, halted, uncertain/,
    ],
    ['strange', 'Rejected', /"Rejected" is not one of/],
    ['503', 'not-sent', /"503" is not a code .* an HTTP status cannot be moved/],
    ['', 'rejected', /"" is not a code/],
  ];
  for (const [code, kind, message] of wrong) {
    it(`may not say "${code}": "${kind}"`, () => {
      assert.throws(
        () => checkCodes({ [code]: kind }),
        (error) => error instanceof VidbatchError && error.exitCode === 2 && message.test(error.message),
      );
    });
  }
});
