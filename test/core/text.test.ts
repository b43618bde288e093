import assert from 'node:assert/strict';
import { it } from 'node:test';
import { columnLabel, excerpt, typedExcerpt } from '../../src/core/text.ts';

it('quotes text and leaves it readable', () => {
  assert.equal(excerpt('C:\\new\\"a".png'), '"C:\\new\\"a".png"');
  assert.equal(excerpt('十六比九'), '"十六比九"');
  assert.equal(excerpt(20), '20');
  assert.equal(excerpt([1]), 'an array');
  assert.equal(typedExcerpt('20'), 'the text "20"');
  assert.equal(typedExcerpt({}), 'an object');
});

it('cuts at 80 characters, never through one', () => {
  assert.equal(excerpt('a'.repeat(80)), `"${'a'.repeat(80)}"`);
  assert.equal(excerpt('👍'.repeat(81)), `"${'👍'.repeat(79)}…"`);
});

it('escapes characters that a terminal or a database cannot handle', () => {
  assert.equal(excerpt('a\0b\u001b\u009b\ud800\n'), '"a\\u0000b\\u001b\\u009b\\ud800\\n"');
  assert.equal(columnLabel('Prompt \t'), 'Prompt \\t');
});
