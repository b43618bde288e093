import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { html } from '../../src/board/page.ts';

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
