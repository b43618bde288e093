/** Words that show a translated sentence must not come back into comments, messages and names of `src/`. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** No file of `src/` has one of these. */
const WORDS = [
  /\b(he|his|him|himself)\b/i,
  /\b(whoever|whomever|whatever|nobody|somebody|anybody)\b/i,
  /\b(is|are) none\b/i,
  /\bso many\b/i,
  /\bof which\b/i,
  /\bshall\b/i,
  /\blest\b/i,
  /\bpurses?\b/i,
  /\bclerks?\b/i,
  /\bstand-?ins?\b/i,
];

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
  assert.deepEqual(findWords('src/**/*.{ts,sql}', WORDS), []);
});

test('a translated sentence is found, and a plain one is not', () => {
  const isFound = (text: string): boolean => WORDS.some((word) => word.test(text));
  assert.ok(isFound('He does not know the purse.'));
  assert.ok(isFound('a port that is none'));
  assert.ok(!isFound('the head of the answer'));
});
