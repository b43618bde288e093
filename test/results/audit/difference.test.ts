import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { parseAmount } from '../../../src/core/money/money.ts';
import { csvLine, DIFFERENCE_COLUMNS, differenceLine } from '../../../src/results/audit/difference.ts';
import { withoutKeys } from '../../../src/results/audit/provider-file.ts';

describe('the file for the provider’s support', () => {
  test('holds no cell that a spreadsheet runs', () => {
    const cells = ['=1+1', '+1', '-1', '@x', '\t=1', '{"a":1}\n=2', 'a;=3', '＝1', 'plain', ''];
    const [read = []] = parse(csvLine(cells));
    assert.equal(read.length, cells.length);
    for (const cell of read) assert.doesNotMatch(cell, /(?:^|[,;|\t"\r\n])[=+\-@＝]/);
    assert.deepEqual(read.slice(-2), ['plain', '']);
  });

  test('has the price beside what was billed', () => {
    const amount = parseAmount('0.8');
    assert.ok(amount);
    const finding = { subject: null, row: null, lines: [], kinds: ['amount-differs' as const] };
    const text = csvLine(DIFFERENCE_COLUMNS);
    const [priced, unknown] = [{ amount, currency: 'CNY' }, null].map((expected) =>
      parse<Record<string, string>>(text + differenceLine({ ...finding, expected }, String), {
        columns: true,
      }),
    );
    assert.partialDeepStrictEqual(priced, [{ expected_amount: '0.80', expected_currency: 'CNY' }]);
    assert.partialDeepStrictEqual(unknown, [{ expected_amount: '', expected_currency: '' }]);
  });

  test('contains no key: neither the own key, nor one in a column of the provider', () => {
    const redact = withoutKeys('abc"def-secret');
    assert.equal(redact('abc"def-secret'), '[API key]');
    assert.equal(redact(JSON.stringify({ token: 'abc"def-secret' })), '{"token":"[API key]"}');
    assert.equal(withoutKeys(undefined)('sk-0123456789abcdef of bob'), '[API key] of bob');
  });
});
