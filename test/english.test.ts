/** Words that show a translated sentence must not come back into `src/`, nor into the titles of tests. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** No text of `src/` and no title of a test has one of these. */
const WORDS = [
  /\b(he|his|him|himself)\b/i,
  /\b(whoever|whomever|whatever|nobody|somebody|anybody|everybody)\b/i,
  /\b(is|are) none\b/i,
  /\bso many\b/i,
  /\bof which\b/i,
  /\bshall\b/i,
  /\blest\b/i,
  /\bpurses?\b/i,
  /\bclerks?\b/i,
  /\bstand-?ins?\b/i,
  /\bstands? (on|under|behind|before|beside|here|there|in)\b/i,
  /\b(go|goes|going) on\b/i,
  /\b(anew|seldom|reckons?|mends?)\b/i,
  /\b(became|becomes?|come|came) of (a|an|the|its|it|them|each)\b/i,
  /\b(told|known|says?|said) of\b/i,
  /\b(run|runs|ran) into\b/i,
  /\b(with|without) leave\b/i,
  /\bswept away\b/i,
  /\bheard? of\b/i,
];

interface Text {
  place: string;
  text: string;
}

/** Every line of `src/`: names and comments count as well as messages. */
function linesOf(file: string): Text[] {
  return readFileSync(`${ROOT}/${file}`, 'utf8')
    .split('\n')
    .map((text, n) => ({ place: `${file}:${n + 1}`, text: text.trim() }));
}

const TITLE = /\b(?:it|test|describe)(?:\.\w+)?\(\s*(['`])((?:(?!\1)[^\\]|\\.)*)\1/g;

function titlesOf(file: string): Text[] {
  const source = readFileSync(`${ROOT}/${file}`, 'utf8');
  return [...source.matchAll(TITLE)].map(([, , text = '']) => ({ place: file, text }));
}

function findWords(texts: readonly Text[]): string[] {
  return texts.flatMap(({ place, text }) => {
    const word = WORDS.find((one) => one.test(text));
    return word === undefined ? [] : [`${place} ${word}: ${text}`];
  });
}

test('no text of src/ sounds translated', () => {
  const files = globSync('src/**/*.{ts,sql}', { cwd: ROOT });
  assert.deepEqual(findWords(files.flatMap(linesOf)), []);
});

test('no title of a test sounds translated', () => {
  const titles = globSync('test/**/*.ts', { cwd: ROOT }).flatMap(titlesOf);
  assert.ok(titles.length > 1000, `${titles.length} titles`);
  assert.deepEqual(findWords(titles), []);
});

test('a translated sentence is found, and a plain one is not', () => {
  const isFound = (text: string): boolean => WORDS.some((word) => word.test(text));
  assert.ok(isFound('He does not know the purse.'));
  assert.ok(isFound('a port that is none'));
  assert.ok(!isFound('the head of the answer'));
});
