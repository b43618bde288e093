import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { csvLine } from '../../src/audit/difference.ts';
import { withoutKeys } from '../../src/audit/secret.ts';

describe('the file for the provider’s support', () => {
  test('holds no cell that a spreadsheet runs', () => {
    const cells = ['=1+1', '+1', '-1', '@x', '\t=1', '{"a":1}\n=2', 'a;=3', '＝1', 'plain', ''];
    const [read = []] = parse(csvLine(cells));
    assert.equal(read.length, cells.length);
    for (const cell of read) assert.doesNotMatch(cell, /(?:^|[,;|\t"\r\n])[=+\-@＝]/);
    assert.deepEqual(read.slice(-2), ['plain', '']);
  });

  test('holds no key: neither ours, nor one that stands in a column of theirs', () => {
    const redact = withoutKeys('abc"def-secret');
    assert.equal(redact('abc"def-secret'), '[API key]');
    assert.equal(redact(JSON.stringify({ token: 'abc"def-secret' })), '{"token":"[API key]"}');
    assert.equal(withoutKeys(undefined)('sk-0123456789abcdef of bob'), '[API key] of bob');
  });
});
