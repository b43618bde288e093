import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeHead, rangeOf, type Part } from '../../../src/results/download/judgement.ts';

const NOTHING: Part = { size: 0, validator: null, total: null };
const SOME: Part = { size: 100, validator: '"v1"', total: 1000 };
const LIMITS = { maxBytes: 10_000, now: 0 };

function judge(status: number, headers: Record<string, string> = {}, part = NOTHING) {
  return judgeHead({ status, headers }, part, LIMITS);
}

describe('the head of an answer', () => {
  test('with 200 brings the whole file, with or without a part on the disk', () => {
    assert.deepEqual(judge(200, { 'content-length': '1000', etag: '"v2"' }, SOME), {
      kind: 'whole',
      total: 1000,
      validator: '"v2"',
      encoding: null,
    });
  });

  test('gives a validator that says that the bytes are the same, or none', () => {
    const validator = (headers: Record<string, string>): unknown => {
      const judgement = judge(200, headers);
      return judgement.kind === 'whole' && judgement.validator;
    };
    assert.equal(
      validator({ etag: 'W/"v"', 'last-modified': 'Wed, 25 Nov 2026 19:00:00 GMT' }),
      'Wed, 25 Nov 2026 19:00:00 GMT',
    );
    assert.equal(validator({ etag: 'W/"v"' }), null);
    assert.equal(validator({ etag: '"v"', 'content-encoding': 'gzip' }), null);
  });

  test('with 206 continues only what was asked for', () => {
    const rest = (range: string): string => judge(206, { 'content-range': range }, SOME).kind;
    assert.equal(rest('bytes 100-999/1000'), 'rest');
    for (const range of [
      'bytes 99-999/1000',
      'bytes 100-998/1000',
      'bytes 100-1099/1100',
      'bytes 100-999/*',
      '',
    ]) {
      assert.equal(rest(range), 'restart', range);
    }
    assert.equal(judge(206, { 'content-range': 'bytes 0-999/1000' }, NOTHING).kind, 'restart');
    assert.equal(judge(416, {}, SOME).kind, 'restart');
  });

  test('of a video that is too large, or with an encoding that was not requested, is refused', () => {
    assert.partialDeepStrictEqual(judge(200, { 'content-length': '10001' }), { code: 'TOO_LARGE' });
    assert.partialDeepStrictEqual(judge(200, { 'content-encoding': 'compress' }), { code: 'ENCODING' });
  });

  test('says whether another try may succeed', () => {
    for (const status of [401, 403, 404, 410]) assert.equal(judge(status).kind, 'dead');
    for (const status of [408, 425, 429, 500, 503, 599]) assert.equal(judge(status).kind, 'again');
    for (const status of [204, 300, 304, 400, 451]) assert.equal(judge(status).kind, 'refused');
    assert.partialDeepStrictEqual(judge(429, { 'retry-after': '7' }), { afterMs: 7000 });
    assert.deepEqual(judge(302, { location: '/x' }), { kind: 'redirect', to: '/x' });
    assert.equal(judge(302).kind, 'refused');
  });
});

test('a part is continued only if it certainly belongs to the same version', () => {
  assert.deepEqual(rangeOf(SOME), { range: 'bytes=100-', 'if-range': '"v1"' });
  assert.deepEqual(rangeOf({ ...SOME, validator: null }), {});
  assert.deepEqual(rangeOf({ ...SOME, size: 0 }), {});
});
