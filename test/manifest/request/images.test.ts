import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { image, messageOf, mix, read, rulesOf, text } from './reading.ts';

describe('images', () => {
  it('must be where the provider can fetch them', () => {
    for (const [url, rule] of [
      ['C:\\shots\\a.png', 'url-not-http'],
      ['/shots/a.png', 'url-not-http'],
      ['file:///shots/a.png', 'url-not-http'],
      ['https:/example.com/a.png', 'url-not-http'],
      ['', 'url-not-http'],
      ['https://', 'url-invalid'],
      ['https://exa mple.com/a.png', 'url-whitespace'],
      ['https://example.com/a b.png', 'url-whitespace'],
      ['https://example.com:99999/a.png', 'url-invalid'],
      ['data:text/plain;base64,AAAA', 'url-data'],
      ['data:image/png;base64,AA AA', 'url-data'],
    ] as const) {
      assert.deepEqual(rulesOf(read({ ...text, image: url })), [`error ${rule}`], url);
    }
    const local = messageOf(read({ ...text, image: 'C:\\shots\\a.png' }), 'url-not-http');
    assert.match(local, /the provider fetches it: it must be reachable by http\(s\)/);
  });

  it('keep the URL as written, but for white space around it', () => {
    const image = ' HTTPS://Example.com/封面.png?a=1|2 ';
    assert.equal(read({ ...text, image }).request?.image, image.trim());
  });

  it('warn of data URIs and of credentials', () => {
    assert.deepEqual(rulesOf(read({ ...text, image: 'data:image/png;base64,iVBORw0KGgo=' })), [
      'warning url-data',
    ]);
    const secret = read({ ...text, image: 'https://me:hunter2@example.com/a.png' });
    assert.deepEqual(rulesOf(secret), ['warning url-credentials']);
    assert.doesNotMatch(messageOf(secret, 'url-credentials'), /hunter2/);
  });

  it('of many megabytes overflow nothing', () => {
    const image = `data:image/png;base64,${'A'.repeat(20_000_000)}`;
    assert.deepEqual(rulesOf(read({ ...text, image })), ['warning url-data']);
  });

  it('allow a last frame only together with a first one', () => {
    const last_image = 'https://example.com/last.png';
    assert.deepEqual(rulesOf(read({ ...text, last_image })), ['error last-image-without-image']);
    assert.equal(read({ ...image, last_image }).mode, 'start-end');
    // The first frame is there, if wrong: one mistake, one fault.
    assert.deepEqual(rulesOf(read({ ...text, image: 'a.png', last_image })), ['error url-not-http']);
  });
});

describe('reference images', () => {
  const urls = (count: number) => Array.from({ length: count }, (_, i) => `https://example.com/ref-${i}.png`);

  it('belong to mix models, which need them', () => {
    assert.equal(read(mix).mode, 'reference');
    assert.deepEqual(rulesOf(read({ ...mix, model: 'viduq3p-720p' })), ['error reference-without-mix']);
    assert.deepEqual(rulesOf(read({ ...text, model: 'viduq3p-mix-720p' })), ['error mix-without-reference']);
    assert.deepEqual(rulesOf(read({ ...mix, reference_image_urls: [] })), ['error mix-without-reference']);
    assert.deepEqual(rulesOf(read({ ...mix, model: 'viduq3p-mx-720p' })), ['error model-unknown']);
  });

  it('cannot be combined with frames', () => {
    assert.deepEqual(rulesOf(read({ ...mix, image: image.image })), ['error reference-with-image']);
  });

  it('are at most 7, and more than 4 are a warning', () => {
    assert.deepEqual(rulesOf(read({ ...mix, reference_image_urls: urls(4) })), []);
    assert.deepEqual(rulesOf(read({ ...mix, reference_image_urls: urls(7) })), ['warning reference-many']);
    const many = read({ ...mix, reference_image_urls: urls(8) });
    assert.deepEqual(rulesOf(many), ['error reference-count']);
    assert.equal(messageOf(many, 'reference-count'), '8 URLs are more than 7');
  });

  it('name the item that is wrong', () => {
    const wrong = read({ ...mix, reference_image_urls: [...urls(1), 'b.png', 5] });
    assert.deepEqual(rulesOf(wrong), ['error url-not-http', 'error reference-image-urls-type']);
    assert.match(messageOf(wrong, 'url-not-http'), /^item 2: "b.png"/);
    assert.match(messageOf(wrong, 'reference-image-urls-type'), /^item 3: the number 5 is not text/);
    assert.deepEqual(rulesOf(read({ ...mix, reference_image_urls: 'https://example.com/a.png' })), [
      'error reference-image-urls-type',
    ]);
  });
});
