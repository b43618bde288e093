import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readCell, writeText, writeValue } from '../../src/manifest/export-format.ts';

// prettier-ignore
const PIECES = ["'", '=', '-', '+', '@', '＝', '＠', ',', ';', '|', '"', '\t', '\r', '\n', ':', 'a', ' ', '\0', '\uD800'];

const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => pieces.join(''));

test('a text comes back as it was, however many apostrophes it has', () => {
  fc.assert(
    fc.property(text, (one) => assert.deepEqual(readCell(writeText(one)).value, one)),
    { numRuns: 2000 },
  );
});

test('a JSON value comes back as it was, and as no text', () => {
  const value = fc.oneof(
    text,
    fc.integer(),
    fc.array(text),
    fc.dictionary(text, fc.integer(), { noNullPrototype: true }),
  );
  fc.assert(
    fc.property(value, (one) => assert.deepEqual(readCell(writeValue(one)), { value: one, typed: true })),
  );
});

test('nothing that a spreadsheet would run stands at the beginning, nor after a delimiter, a quote or a line break', () => {
  fc.assert(
    fc.property(text, (one) =>
      assert.doesNotMatch(writeText(one), /^[=+\-@＝＋－＠\t\r\n]|[,;|\t"\r\n][=+\-@＝＋－＠]/),
    ),
    { numRuns: 2000 },
  );
});

test('a cell without such a place is left alone', () => {
  for (const one of ["'", "it's", "'quoted'", 'a-b', '5', "''"]) assert.equal(writeText(one), one);
});

test('a cell looks like this', () => {
  const cells = ['=1+1', "'=1", '-5', 'a;=b', "':x", 'l\n- item', '[1,-2]'].map(writeText);
  assert.deepEqual(cells, ["'=1+1", "''=1", "'-5", "a;'=b", "'':x", "l\n'- item", "[1,'-2]"]);
  assert.equal(writeText('\0'), String.raw`':"\u0000"`);
});
