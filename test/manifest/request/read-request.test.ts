import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { contentHash } from '../../../src/core/identity.ts';
import { modeOf } from '../../../src/provider/profile/mode.ts';
import { image, messageOf, mix, read, rulesOf, text } from './reading.ts';

describe('the contract page', () => {
  // The four bodies of the page, verbatim.
  const bodies = readFileSync(new URL('../../../jobs/contract.json', import.meta.url), 'utf8');
  const examples = JSON.parse(bodies) as Record<string, unknown>[];

  it('has its four examples go out exactly as they are written', () => {
    // The hash of the page itself, so that a changed sample is noticed.
    assert.equal(contentHash(examples), '603f3a37f02c578189b546c7d4a24b47082a044f8ba109995db1831241a27059');
    for (const example of examples) {
      const { request, faults } = read(example);
      assert.deepEqual(faults, []);
      assert.deepEqual(request, example);
      assert.equal(JSON.stringify(request), JSON.stringify(example));
    }
  });

  it('derives the four modes and never sends them', () => {
    assert.deepEqual(
      examples.map((example) => read(example).mode),
      ['text', 'image', 'start-end', 'reference'],
    );
    for (const example of examples) {
      const { request, mode } = read({ ...example, mode: 'text' });
      assert.ok(request !== undefined && !('mode' in request));
      assert.equal(modeOf(request), mode);
    }
  });

  it('gives the fields their order, for a row in any order', () => {
    for (const example of examples) {
      const reversed = Object.fromEntries(Object.entries(example).toReversed());
      assert.equal(JSON.stringify(read(reversed).request), JSON.stringify(example));
    }
  });
});

describe('model', () => {
  it('is required', () => {
    assert.deepEqual(rulesOf(read({ prompt: 'x' })), ['error model-required']);
    assert.deepEqual(rulesOf(read({ ...text, model: ' ' })), ['error model-unknown']);
  });

  it('suggests the nearest known name', () => {
    for (const [typo, meant] of [
      ['viduq3-720p', 'viduq3p-720p'],
      ['VIDUQ3T-1080P', 'viduq3t-1080p'],
      ['viduq3p_720p_offpeak', 'viduq3p-720p-offpeak'],
      ['viduq3t-720p-ofpeak', 'viduq3t-720p-offpeak'],
    ] as const) {
      assert.ok(
        messageOf(read({ ...text, model: typo }), 'model-unknown').includes(`did you mean ${meant}?`),
        typo,
      );
    }
  });

  it('may be any that the configuration lists', () => {
    const configured = { models: ['viduq4-720p'] };
    assert.deepEqual(rulesOf(read({ ...text, model: 'viduq4-720p' }, configured)), []);
    assert.ok(
      messageOf(read({ ...text, model: 'viduq4-72p' }, configured), 'model-unknown').includes('viduq4-720p?'),
    );
    const reference = { ...mix, model: 'viduq4-720p' };
    assert.deepEqual(rulesOf(read(reference, configured)), ['warning reference-without-mix']);
  });

  it('is trimmed', () => {
    assert.equal(read({ ...text, model: ' viduq3p-720p\n' }).request?.model, 'viduq3p-720p');
  });
});

describe('prompt', () => {
  it('is required, must not be blank, and is kept to the letter', () => {
    assert.deepEqual(rulesOf(read({ model: 'viduq3p-720p' })), ['error prompt-required']);
    for (const blank of ['', ' \t\n', '\u3000', '\u200b']) {
      assert.deepEqual(
        rulesOf(read({ ...text, prompt: blank })),
        ['error prompt-blank'],
        JSON.stringify(blank),
      );
    }
    const prompt = '  两行，\r\n第二行 👩‍🚀 ';
    assert.equal(read({ ...text, prompt }).request?.prompt, prompt);
    assert.deepEqual(rulesOf(read({ ...text, prompt: 5 })), ['error prompt-type']);
  });

  it('over 5000 characters is a warning, counted as people count', () => {
    assert.deepEqual(rulesOf(read({ ...text, prompt: '👍'.repeat(5000) })), []);
    const long = read({ ...text, prompt: '👍'.repeat(5001) });
    assert.deepEqual(rulesOf(long), ['warning prompt-length']);
    assert.match(messageOf(long, 'prompt-length'), /^5001 characters \(Unicode code points\)/);
  });

  it('that is missing beside a mistyped column says so', () => {
    const typo = read({ model: 'viduq3p-720p', promt: 'A lighthouse' });
    assert.deepEqual(rulesOf(typo), ['warning unknown-column-typo', 'error prompt-required']);
    assert.match(messageOf(typo, 'prompt-required'), /column "promt"/);
  });
});

describe('aspect_ratio', () => {
  it('is one of five, and a near miss is recognised', () => {
    for (const [found, meant] of [
      ['16x9', '16:9'],
      ['16：9', '16:9'],
      ['16*9', '16:9'],
      ['1080 × 1920', '9:16'],
      ['16:09:00', '16:9'],
      ['09:16', '9:16'],
      ['169', '16:9'],
    ] as const) {
      const message = messageOf(read({ ...text, aspect_ratio: found }), 'aspect-ratio-unknown');
      assert.ok(message.includes(`did you mean ${meant}?`), message);
    }
    const other = messageOf(read({ ...text, aspect_ratio: '2:1' }), 'aspect-ratio-unknown');
    assert.equal(other, '"2:1" is not one of 16:9, 9:16, 1:1, 4:3, 3:4');
  });

  it('may be ignored with an image', () => {
    assert.deepEqual(rulesOf(read({ ...image, aspect_ratio: '9:16' })), ['warning aspect-ratio-with-image']);
    assert.deepEqual(rulesOf(read({ ...mix, aspect_ratio: '9:16' })), []);
  });
});

describe('duration', () => {
  it('is 1 to 16 whole seconds', () => {
    for (const duration of [1, 16, '5', ' 5 ', '5.0']) {
      assert.equal(read({ ...text, duration }).request?.duration, Number(duration));
    }
    for (const [duration, rule, message] of [
      [20, 'duration-range', '20 is not between 1 and 16'],
      ['20', 'duration-range', '20 is not between 1 and 16'],
      [0, 'duration-range', '0 is not between 1 and 16'],
      [5.5, 'duration-type', 'the number 5.5 is not a whole number between 1 and 16'],
      [Infinity, 'duration-type', 'the number Infinity is not a whole number between 1 and 16'],
      [true, 'duration-type', 'the boolean true is not a whole number between 1 and 16'],
      ['5s', 'duration-type', 'the text "5s" is not a whole number between 1 and 16; write 5 alone'],
      [
        '５',
        'duration-type',
        'the text "５" is not a whole number between 1 and 16; write 5 in plain digits',
      ],
      ['1e1', 'duration-type', undefined],
      ['0x5', 'duration-type', undefined],
      ['', 'duration-type', undefined],
    ] as const) {
      const result = read({ ...text, duration });
      assert.equal(result.request, undefined);
      assert.deepEqual(rulesOf(result), [`error ${rule}`], String(duration));
      if (message !== undefined) assert.equal(messageOf(result, rule), message);
    }
  });
});
