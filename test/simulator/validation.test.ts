import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { validate } from '../../src/simulator/dialects/gateway-rules.ts';

const TEXT = { model: 'viduq3p-720p', prompt: 'x' };
const IMAGE = { ...TEXT, image: 'https://example.com/a.png' };
const MIX = { model: 'viduq3p-mix-720p', prompt: 'x', reference_image_urls: ['https://example.com/a.png'] };

const reason = (body: unknown, models: string[] = []): string => {
  const result = validate(typeof body === 'string' ? body : JSON.stringify(body), models);
  return result.valid ? 'valid' : result.message;
};

suite('the examples of the contract page pass', () => {
  const examples = {
    'text to video': {
      ...TEXT,
      aspect_ratio: '16:9',
      duration: 5,
      extra_body: { audio: false, seed: 42, bgm: false },
    },
    'image to video': { ...IMAGE, model: 'viduq3t-540p', duration: 5, extra_body: { seed: 42 } },
    'start and end': {
      ...IMAGE,
      model: 'viduq3p-1080p-offpeak',
      last_image: 'https://example.com/tail.png',
      duration: 6,
    },
    references: { ...MIX, aspect_ratio: '16:9', duration: 5, extra_body: { audio: false, seed: 42 } },
  };
  for (const [name, body] of Object.entries(examples)) test(name, () => assert.equal(reason(body), 'valid'));
});

const WRONG: [string, unknown, RegExp][] = [
  ['text that is not JSON', '{"model"', /not a JSON object/],
  ['a list', [TEXT], /not a JSON object/],
  ['no model', { prompt: 'x' }, /model/],
  ['a model that is not known', { ...TEXT, model: 'viduq3p-480p' }, /model/],
  ['no prompt', { model: TEXT.model }, /prompt/],
  ['a blank prompt', { ...TEXT, prompt: ' \n' }, /prompt/],
  ['a prompt that is a number', { ...TEXT, prompt: 5 }, /prompt/],
  ['an empty image', { ...TEXT, image: '' }, /image/],
  ['last_image alone', { ...TEXT, last_image: 'https://example.com/a.png' }, /last_image needs image/],
  ['references without mix', { ...MIX, model: TEXT.model }, /needs a mix model/],
  ['mix without references', { ...MIX, reference_image_urls: undefined }, /needs reference_image_urls/],
  ['mix with no reference in its list', { ...MIX, reference_image_urls: [] }, /at least one/],
  ['references that are not a list', { ...MIX, reference_image_urls: 'a|b' }, /list/],
  ['references beside an image', { ...MIX, image: 'https://example.com/a.png' }, /cannot be combined/],
  [
    'eight references',
    { ...MIX, reference_image_urls: Array(8).fill('https://example.com/a') },
    /more than 7/,
  ],
  ['an aspect ratio that is not known', { ...TEXT, aspect_ratio: '21:9' }, /aspect_ratio/],
  ['duration 0', { ...TEXT, duration: 0 }, /duration/],
  ['duration 17', { ...TEXT, duration: 17 }, /duration/],
  ['duration 1.5', { ...TEXT, duration: 1.5 }, /duration/],
  ['duration as text', { ...TEXT, duration: '5' }, /duration/],
  ['extra_body as text', { ...TEXT, extra_body: '{}' }, /extra_body/],
  ['audio as text', { ...TEXT, extra_body: { audio: 'false' } }, /audio/],
  ['a seed too large', { ...TEXT, extra_body: { seed: 2 ** 31 } }, /seed/],
];

suite('what breaks a rule of the page is refused', () => {
  for (const [name, body, message] of WRONG) test(name, () => assert.match(reason(body), message));
});

test('a model may be added', () => {
  assert.equal(reason({ ...TEXT, model: 'viduq4' }, ['viduq4']), 'valid');
});
