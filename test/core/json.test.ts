import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { findLoss, isExact } from '../../src/core/json.ts';

test('a number that JSON.parse would change is not exact; another spelling of the same double is', () => {
  const exact = ['0', '-0', '1.0', '5e0', '1e21', '9007199254740992', '-9007199254740991', '1e2', '0.1'];
  exact.push('0.10000000000000001', '1.50', '123456789012345680000', '5e-324');
  const changed = ['9007199254740993', '738529527931269425', '-738529527931269425', '1e400', '1e-400'];
  changed.push('0.1000000000000000055', '738529527931269376', '9007199254740993.0', '9007199254740992.5');
  for (const text of exact) assert.ok(isExact(text), text);
  for (const text of changed) assert.ok(!isExact(text), text);
});

test('every number that JavaScript prints is exact', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      assert.ok(isExact(JSON.stringify(number)));
      assert.ok(isExact(number.toPrecision(17)) || Number.isInteger(number));
    }),
    { numRuns: 2000 },
  );
});

test('a text that JSON.parse keeps completely has no loss', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      assert.equal(findLoss(JSON.stringify(value)), undefined);
    }),
  );
});

test('a loss names its place, anywhere in the text', () => {
  const at = (text: string): string => {
    const loss = findLoss(text);
    return loss === undefined ? '' : `${loss.kind} ${'path' in loss ? loss.path : ''}`;
  };
  assert.equal(at('{"a": [1, {"b": 12345678901234567890}]}'), 'number-precision a.[].b');
  assert.equal(at('{"a": "12345678901234567890 1e400"}'), '');
  assert.equal(at('{"a": {"b": 1, "b": 1}}'), 'duplicate-key a.b');
  assert.equal(at(`${'['.repeat(100)}${']'.repeat(100)}`), '');
  assert.equal(at(`${'{"a":'.repeat(101)}1${'}'.repeat(101)}`), 'nesting ');
});
