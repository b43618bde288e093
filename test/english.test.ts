/** Words that show a translated sentence must not come back into comments, messages and names of `src/`. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** No file of `src/` has one of these. Add a word when its last use is gone. */
const NOWHERE = [
  /\b(he|his|him|himself)\b/i,
  /\bby nobody\b/i,
  /\bpurses?\b/i,
  /\bclerks?\b/i,
  /\bstand-?ins?\b/i,
  /\blest\b/i,
  /\bwhomever\b/i,
];

/** The rooms below have none of these either. Move a word up when the last room is clean. */
const NOT_IN_CLEAN_ROOMS = [
  /\bwhoever\b/i,
  /\b(nobody|somebody|anybody)\b/i,
  /\b(is|are) none\b/i,
  /\bso many\b/i,
  /\bof which\b/i,
  /\bshall\b/i,
  /\bwhatever\b/i,
];
const CLEAN_ROOMS = ['core', 'manifest', 'provider', 'batch', 'database', 'simulator'];

function findWords(pattern: string, words: readonly RegExp[]): string[] {
  return globSync(pattern, { cwd: ROOT }).flatMap((file) =>
    readFileSync(`${ROOT}/${file}`, 'utf8')
      .split('\n')
      .flatMap((line, n) => {
        const word = words.find((one) => one.test(line));
        return word === undefined ? [] : [`${file}:${n + 1} ${word}: ${line.trim()}`];
      }),
  );
}

test('no text of src/ sounds translated', () => {
  assert.deepEqual(findWords('src/**/*.{ts,sql}', NOWHERE), []);
});

for (const room of CLEAN_ROOMS) {
  test(`the room ${room} has plain English`, () => {
    assert.deepEqual(findWords(`src/${room}/**/*.ts`, NOT_IN_CLEAN_ROOMS), []);
  });
}

test('a translated sentence is found with its line', () => {
  assert.ok(NOWHERE.some((word) => word.test('He does not know the purse.')));
  assert.ok(!NOWHERE.some((word) => word.test('the head of the answer')));
  assert.ok(NOT_IN_CLEAN_ROOMS.some((word) => word.test('a port that is none')));
});
