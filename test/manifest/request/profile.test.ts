/** The rules of a row by a profile that is not the default. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRequest, type ReadRequest } from '../../../src/manifest/request/read-request.ts';
import { requireProfile } from '../../../src/provider/profile/read.ts';
import { messageOf, rulesOf } from './reading.ts';

const profile = requireProfile(
  `
profile: 1
name: reel
extends: vidu-gateway
fields:
  prompt: { longest: 10 }
  aspect_ratio: ['16:9', '9:16']
  duration: 2..20
  reference_image_urls: { most: 3, doubtfulAbove: 2 }
  extra_body: { audio: null, bgm: null, seed: 1..9, style: text, size: [720p, 1080p], loop: boolean }
models:
  - { match: 'reel-{1,2}', duration: [4, 8], aspect_ratio: ['1:1'], references: 0 }
  - { match: 'reel-mix', references: 2..3 }
  - { match: 'lab-*' }
  - { match: '*-mix', hint: true, references: 1..3 }
rules:
  - { name: eight-with-audio, column: duration, severity: error, when: { duration: 9..20, extra_body.size: 1080p, image: absent }, message: at most 8 seconds in 1080p }
  - { name: lab-loop, column: extra_body.loop, severity: documented, when: { model: ['lab-*', 'new-*'], extra_body.loop: true }, message: does not loop }
`,
  'reel.yaml',
);

const read = (raw: Record<string, unknown>, options = {}): ReadRequest =>
  readRequest({ model: 'lab-1', prompt: 'fog', ...raw }, { source: 'json', line: 2, profile, ...options });
const rules = (raw: Record<string, unknown>, options = {}): string[] => rulesOf(read(raw, options));

const urls = (n: number): string[] => Array.from({ length: n }, (_, i) => `https://a.example/${i}.png`);

describe('a row by its own profile', () => {
  it('has the models of the profile, and none of another', () => {
    for (const model of ['reel-1', 'reel-2', 'lab-x']) assert.deepEqual(rules({ model }), []);
    const unknown = read({ model: 'viduq3p-720p' });
    assert.deepEqual(rulesOf(unknown), ['error model-unknown']);
    assert.match(
      messageOf(read({ model: 'Reel_1' }), 'model-unknown'),
      /did you mean reel-1\? Known: reel-\{1,2\}, reel-mix, lab-\*$/,
    );
    assert.match(
      messageOf(read({ model: '' }), 'model-unknown'),
      /is blank; a model is required, such as reel-1/,
    );
    assert.deepEqual(rules({ model: 'own' }, { models: ['own'] }), []);
  });

  it('may have any model where the profile says so', () => {
    for (const [unknownModel, expected] of [
      ['warning', ['warning model-unknown']],
      ['allowed', []],
    ] as const) {
      assert.deepEqual(rules({ model: 'x' }, { profile: { ...profile, unknownModel } }), expected);
      assert.deepEqual(rules({ model: ' ' }, { profile: { ...profile, unknownModel } }), [
        'error model-unknown',
      ]);
    }
    const { unknownModel: _, ...silent } = { ...profile, models: [] };
    assert.deepEqual(rules({ model: 'x' }, { profile: silent }), []);
  });

  it('has the durations and ratios of its model, or else those of all fields', () => {
    assert.equal(messageOf(read({ model: 'reel-1', duration: 5 }), 'duration-range'), '5 is not one of 4, 8');
    assert.equal(
      messageOf(read({ model: 'reel-1', duration: '8s' }), 'duration-type'),
      'the text "8s" is not one of 4, 8; write 8 alone',
    );
    assert.deepEqual(rules({ model: 'reel-1', duration: '8', aspect_ratio: '1:1' }), []);
    assert.deepEqual(rules({ model: 'reel-1', aspect_ratio: '16:9' }), ['error aspect-ratio-unknown']);
    assert.deepEqual(rules({ duration: 5, aspect_ratio: '16:9' }), []);
    assert.equal(messageOf(read({ duration: 21 }), 'duration-range'), '21 is not between 2 and 20');
  });

  it('has as many reference images as its model takes', () => {
    const counted = (model: string, n: number): string[] =>
      rules({ model, ...(n === 0 ? {} : { reference_image_urls: urls(n) }) });
    assert.deepEqual(counted('reel-1', 1), ['error reference-without-mix']);
    assert.deepEqual(counted('reel-mix', 0), ['error mix-without-reference']);
    assert.deepEqual(counted('reel-mix', 1), ['error reference-count']);
    assert.deepEqual(counted('reel-mix', 2), []);
    assert.deepEqual(counted('reel-mix', 3), ['warning reference-many']);
    assert.deepEqual(counted('reel-mix', 4), ['error reference-count']);
    assert.deepEqual(counted('lab-1', 1), [], 'nothing is said of it');
    assert.match(
      messageOf(read({ model: 'reel-2', reference_image_urls: urls(1) }), 'reference-without-mix'),
      /"reel-2" takes no reference images; a model that does is reel-mix/,
    );
    // Its name is the only hint.
    assert.deepEqual(rules({ model: 'own-mix' }, { models: ['own-mix'] }), ['warning mix-without-reference']);
  });

  it('has the keys of extra_body that the profile describes, with their types', () => {
    assert.deepEqual(rules({ extra_body: { seed: 9, style: 'noir', size: '720p', loop: false } }), []);
    assert.deepEqual(rules({ extra_body: { seed: 10, style: 1, size: '4k', loop: 'no' } }), [
      'error seed-range',
      'error style-type',
      'error size-unknown',
      'error loop-type',
    ]);
    assert.match(
      messageOf(read({ extra_body: { size: '108p' } }), 'size-unknown'),
      /not one of 720p, 1080p; did you mean 1080p\?/,
    );
    const unknown = read({ extra_body: { audio: true } });
    assert.deepEqual(rulesOf(unknown), ['warning extra-body-unknown-key']);
    assert.match(
      messageOf(unknown, 'extra-body-unknown-key'),
      /not a documented key \(seed, style, size, loop\)/,
    );
  });

  it('has cells of these types in CSV, and headers that mean them', () => {
    const cells = { 'extra_body.seed': ' 7 ', 'extra_body.loop': '0', 'extra_body.style': '7' };
    assert.deepEqual(read(cells, { source: 'csv' }).request?.extra_body, {
      seed: 7,
      loop: false,
      style: '7',
    });
    assert.deepEqual(rules({ style: 'x' }), ['warning unknown-column-typo'], 'it belongs into extra_body');
    assert.deepEqual(rules({ bgm: 'x' }), []);
  });

  it('obeys the rules between fields', () => {
    const dear = { duration: 9, extra_body: { size: '1080p' } };
    assert.deepEqual(rules(dear), ['error eight-with-audio']);
    assert.deepEqual(rules({ ...dear, image: 'https://a.example/1.png' }), []);
    assert.deepEqual(rules({ ...dear, duration: 8 }), []);
    assert.deepEqual(rules({ ...dear, extra_body: { size: '720p' } }), []);
    const loop = { extra_body: { loop: true } };
    assert.deepEqual(rules(loop), ['error lab-loop']);
    assert.deepEqual(rules({ ...loop, model: 'reel-1' }), []);
    assert.deepEqual(rules({ ...loop, model: 'new-1' }, { models: ['new-1'] }), ['warning lab-loop']);
    assert.deepEqual(rules({ prompt: 'eleven char' }), ['warning prompt-length']);
    // The rules of the default are not those of every profile.
    assert.deepEqual(rules({ model: 'lab-offpeak', last_image: 'https://a.example/1.png' }), []);
  });
});
