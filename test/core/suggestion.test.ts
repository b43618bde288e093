import assert from 'node:assert/strict';
import { it } from 'node:test';
import * as fc from 'fast-check';
import { editDistance, likely, nearest } from '../../src/core/suggestion.ts';

it('counts inserted, deleted, replaced and swapped characters', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['', 'abc', 3],
    ['prompt', 'promt', 1],
    ['prompt', 'prompts', 1],
    ['prompt', 'prumpt', 1],
    ['prompt', 'rpompt', 1],
    ['kitten', 'sitting', 3],
  ] as const) {
    assert.equal(editDistance(a, b), distance, `${a} ${b}`);
  }
});

it('is a symmetric distance', () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance, editDistance(b, a));
      assert.equal(distance === 0, a === b);
      assert.ok(distance >= Math.abs(a.length - b.length) && distance <= Math.max(a.length, b.length));
    }),
    { numRuns: 200 },
  );
});

it('suggests the nearest name, unless it is too far', () => {
  assert.equal(nearest('sed', ['audio', 'bgm', 'seed'], 1), 'seed');
  assert.equal(nearest('zoom', ['audio', 'bgm', 'seed'], 1), undefined);
  assert.equal(nearest('x', []), undefined);
});

it('suggests a name only if most of the word is right', () => {
  assert.equal(likely('knwon', ['a', 'known']), 'known');
  assert.equal(likely('shot', ['shots', 'shoes']), 'shots');
  for (const word of ['zzz', 'nob', 'b', '']) assert.equal(likely(word, ['a', 'c']), undefined, word);
});

it('compares no more than the beginning of long words', () => {
  assert.ok(editDistance('a'.repeat(1_000_000), 'b') <= 64);
});
