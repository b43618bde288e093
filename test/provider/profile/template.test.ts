import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillTemplate } from '../../../src/provider/profile/template.ts';
import { parsePath, valuesAt } from '../../../src/provider/profile/path.ts';

const template = {
  model: '${model}',
  content: [
    { type: 'text', text: '${prompt}' },
    { type: 'image_url', role: 'first_frame', image_url: { url: '${image}' } },
    { type: 'image_url', role: 'reference', image_url: { url: '${reference_image_urls[]}' } },
  ],
  options: { ratio: '${aspect_ratio}' },
  duration: '${duration}',
  '...': '${extra_body}',
};

test('a body is filled from the fields, and what has no value is left out', () => {
  const request = {
    model: 'm',
    prompt: 'a ${image}',
    reference_image_urls: ['u1', 'u2'],
    duration: 5,
    extra_body: { seed: 1 },
  };
  assert.deepEqual(fillTemplate(template, request), {
    model: 'm',
    content: [
      { type: 'text', text: 'a ${image}' },
      { type: 'image_url', role: 'reference', image_url: { url: 'u1' } },
      { type: 'image_url', role: 'reference', image_url: { url: 'u2' } },
    ],
    duration: 5,
    seed: 1,
  });
});

test('a list without items is left out, and a value can be written as a text', () => {
  const written = { images: ['${image}', '${reference_image_urls[]}'], seconds: '${duration:text}' };
  assert.deepEqual(fillTemplate(written, { duration: 5 }), { seconds: '5' });
  assert.deepEqual(fillTemplate(written, { image: 'u' }), { images: ['u'] });
});

test('a place is read, with every element of a list', () => {
  const answer = { data: { creations: [{ url: 'a' }, { url: null }, { url: 'b' }] } };
  assert.deepEqual(valuesAt(answer, parsePath('data.creations[].url') ?? []), ['a', 'b']);
  assert.deepEqual(valuesAt(answer, parsePath('data.creations[2].url') ?? []), ['b']);
  assert.deepEqual(valuesAt(answer, parsePath('__proto__.polluted') ?? []), []);
  assert.equal(parsePath('a..b'), undefined);
  assert.equal(parsePath('a[x]'), undefined);
});
