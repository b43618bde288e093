import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cutToWidth, widthOf } from '../../src/core/width.ts';

describe('the width of a text on a terminal', () => {
  it('is two columns for a Chinese, Japanese or Korean character, a full-width form and an emoji', () => {
    for (const text of ['中', 'あ', '한', '，', 'Ａ', '🎬', '❤️', '👨‍👩‍👧', '𠮷'])
      assert.equal(widthOf(text), 2, text);
    assert.equal(widthOf('年货-zh'), 7);
  });

  it('is one for others, and nothing for marks and for what is not seen', () => {
    for (const text of ['a', 'é', 'e\u0301', 'ä', 'ß', 'я', '─', '✓']) assert.equal(widthOf(text), 1, text);
    for (const text of ['', '\u200b', '\u0301', '\ufeff']) assert.equal(widthOf(text), 0);
  });
});

describe('a text that is cut to a width', () => {
  it('ends in an ellipsis, and never takes more columns', () => {
    assert.equal(cutToWidth('spring-campaign', 20), 'spring-campaign');
    assert.equal(cutToWidth('spring-campaign', 7), 'spring…');
    assert.equal(cutToWidth('年货促销视频', 7), '年货促…');
    assert.equal(cutToWidth('年货促销视频', 6), '年货…', 'a wide character does not stick out');
    assert.equal(cutToWidth('年货', 4), '年货');
    assert.equal(cutToWidth('e\u0301e\u0301e\u0301', 2), 'e\u0301…');
    assert.equal(cutToWidth('a', 0), '');
  });
});
