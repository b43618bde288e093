import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { checkCodes } from '../../src/provider/outcome-table.ts';

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
