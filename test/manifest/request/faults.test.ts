import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mix, read, rulesOf, text } from './reading.ts';

describe('characters that cannot be sent', () => {
  it('are errors wherever they would be', () => {
    for (const raw of [
      { ...text, prompt: 'a\0b' },
      { ...text, image: 'https://example.com/\0.png' },
      { ...text, extra_body: { note: { deep: ['\0'] } } },
      { ...text, extra_body: { 'no\0te': 1 } },
    ]) {
      assert.deepEqual(rulesOf(read(raw)), ['error nul-character'], JSON.stringify(raw));
    }
    assert.deepEqual(rulesOf(read({ ...text, prompt: 'a\ud83d' })), ['error lone-surrogate']);
    assert.deepEqual(rulesOf(read({ ...mix, reference_image_urls: ['https://example.com/\udc00'] })), [
      'error lone-surrogate',
    ]);
  });

  it('do no harm in columns that stay here', () => {
    assert.deepEqual(rulesOf(read({ ...text, scene: 'a\0\ud83d' })), []);
  });
});

describe('faults', () => {
  it('carry the line, and are all found at once', () => {
    const { faults, request } = read({ ...text, model: 'x', duration: 99, last_image: 'b.png', seed: 1 });
    assert.equal(request, undefined);
    assert.ok(faults.every(({ line }) => line === 7));
    assert.deepEqual(
      faults.map(({ rule }) => rule),
      ['unknown-column-typo', 'url-not-http', 'duration-range', 'model-unknown', 'last-image-without-image'],
    );
  });

  it('never repeat more than 80 characters of the value', () => {
    const found = 'q'.repeat(5000);
    const { faults } = read({
      ...text,
      model: found,
      image: found,
      aspect_ratio: found,
      duration: found,
      id: found,
    });
    assert.equal(faults.length, 6);
    for (const { message } of faults)
      assert.ok(message.length < 300 && !message.includes('q'.repeat(80)), message);
  });

  it('never repeat control characters', () => {
    const { faults } = read({ ...text, 'prompt\u001b': '', aspect_ratio: '\u001b[2J\u009b' });
    assert.equal(faults.length, 2);
    for (const { column, message } of faults) assert.doesNotMatch(`${column}${message}`, /\p{Cc}/u);
  });

  it('of the warning kind are errors when strict', () => {
    const strict = read({ ...text, extra_body: { bgm: true } }, { strict: true });
    assert.deepEqual(rulesOf(strict), ['error bgm-no-effect']);
    assert.equal(strict.request, undefined);
  });

  it('say so when the row is no row', () => {
    for (const raw of [[], 5, 'text', null]) {
      assert.deepEqual(rulesOf(read(raw as unknown as Record<string, unknown>)), ['error row-type']);
    }
  });
});
