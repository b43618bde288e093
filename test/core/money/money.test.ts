import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  add,
  compare,
  formatAmount,
  negate,
  parseAmount,
  times,
  ZERO,
  type Amount,
} from '../../../src/core/money/money.ts';

const amount = fc
  .record({ units: fc.bigInt(-(10n ** 15n), 10n ** 15n), scale: fc.nat(9) })
  .map((one): Amount => one);

function read(text: string): Amount {
  const found = parseAmount(text);
  assert.ok(found, text);
  return found;
}

describe('an amount', () => {
  test('is read as bills write it', () => {
    const cases = {
      '1.20': '1.2',
      ' -3 ': '-3',
      '.5': '0.5',
      '7.': '7',
      '+0.10': '0.1',
      '1e-7': '0.0000001',
      '1.5E3': '1500',
      '1,234.50': '1234.5',
      '1,234,567': '1234567',
      '-0': '0',
      '0.00000000000000000001': '0.00000000000000000001',
    };
    for (const [text, shown] of Object.entries(cases)) assert.equal(formatAmount(read(text)), shown, text);
  });

  test('is not read if it would be a guess', () => {
    const none = [
      '',
      '.',
      '-',
      '0,5',
      '1,234',
      '1.234,50',
      '12,34.5',
      '1 234',
      '¥1',
      '1.2.3',
      'NaN',
      'Infinity',
    ];
    for (const text of [...none, '0x10', '1e999', '1e-21', '9'.repeat(41), 'n/a']) {
      assert.equal(parseAmount(text), undefined, text);
    }
  });

  test('comes back as it was written', () => {
    fc.assert(fc.property(amount, (one) => compare(read(formatAmount(one)), one) === 0));
    assert.equal(formatAmount(read('1.5'), 2), '1.50');
    assert.equal(formatAmount(read('3'), 2), '3.00');
    assert.equal(formatAmount(read('0.125'), 2), '0.125');
  });

  test('adds up exactly, where floats do not', () => {
    assert.equal(formatAmount(add(read('0.1'), read('0.2'))), '0.3');
    assert.equal(formatAmount(times(read('0.07'), read('16'))), '1.12');
    fc.assert(
      fc.property(amount, amount, amount, (a, b, c) => {
        assert.equal(compare(add(a, add(b, c)), add(add(c, a), b)), 0);
        assert.equal(compare(times(a, add(b, c)), add(times(a, b), times(a, c))), 0);
        assert.equal(compare(add(a, negate(a)), ZERO), 0);
        assert.equal(Math.sign(compare(a, b)), -Math.sign(compare(b, a)) + 0);
      }),
    );
  });
});
