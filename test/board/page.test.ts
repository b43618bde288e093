import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { html } from '../../src/core/html.ts';
import { createView, languageOf, ownPath } from '../../src/board/view.ts';

suite('markup', () => {
  test('no value can open a tag or leave an attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const { markup } = html`<p title="${value}">${value}</p>`;
        const inner = markup.slice('<p title="'.length, -'</p>'.length);
        assert.equal(inner.split('"').length, 2);
        assert.doesNotMatch(inner.replace('">', ''), /[<>"']/);
      }),
    );
  });

  test('markup goes into markup as it is, alone and in lists', () => {
    const cells = ['<', '&'].map((cell) => html`<i>${cell}</i>`);
    assert.equal(html`<p>${cells}</p>`.markup, '<p><i>&lt;</i><i>&amp;</i></p>');
  });

  test('what is not there leaves no trace', () => {
    assert.equal(html`<i>${null}${undefined}</i>`.markup, '<i></i>');
  });
});

suite('the language of a reader', () => {
  const headers = (language: string, cookie?: string) => ({
    headers: { 'accept-language': language, ...(cookie === undefined ? {} : { cookie }) },
  });

  test('is the first of the browser that the board speaks, else English', () => {
    assert.equal(languageOf(headers('zh-CN,zh;q=0.9,en;q=0.8')), 'zh');
    assert.equal(languageOf(headers('fr, en;q=0.5, zh;q=0.7')), 'zh');
    assert.equal(languageOf(headers('zh;q=0, en;q=0.1')), 'en');
    assert.equal(languageOf(headers('fr')), 'en');
    assert.equal(languageOf({ headers: {} }), 'en');
  });

  test('is what a person has chosen, even if the browser asks for another', () => {
    assert.equal(languageOf(headers('en', 'a=b; vidbatch-language=zh')), 'zh');
    assert.equal(languageOf(headers('zh', 'vidbatch-language=en')), 'en');
    assert.equal(languageOf(headers('zh', 'vidbatch-language=xx')), 'zh');
  });

  test('puts values into the sentence where that language wants them', () => {
    const zh = createView({ language: 'zh' });
    assert.equal(zh.say('{n} of {all}', { n: 1, all: 2 }), '1 / 2');
    assert.equal(zh.count(1234, 'row'), '1,234 行');
    assert.equal(createView({ language: 'en' }).count(1, 'row'), '1 row');
    assert.equal(zh.tell('Find: {query}', { query: '<b>' }).markup, '查找：&lt;b&gt;');
  });

  test('a link back never leads to another site', () => {
    for (const path of ['/', '/batches/x?state=pending']) assert.equal(ownPath(path), path);
    for (const path of ['//evil.example', '/\\evil.example', 'https://evil.example', '/a\r\nb', undefined]) {
      assert.equal(ownPath(path), '/');
    }
  });
});
