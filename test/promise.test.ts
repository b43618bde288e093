import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const PAGE = new URL('../docs/promise.md', import.meta.url);
const SEEN = /\[[^\]]+\]\((\.\.\/test\/[^ )]+)(?: "([^"]+)")?\)/g;

/** A statement is a list item, or a row of a table below its head; what leads over to them has no full stop. */
function statements(text: string): string[] {
  return text
    .split(/\n(?=- |\| |#|\n)/)
    .map((part) => part.trim().replaceAll(/\s+/g, ' '))
    .filter((part) => part.startsWith('- ') || (part.startsWith('| ') && !/^\| (-|what happens)/.test(part)));
}

test('every statement of the promise points to tests that are there', () => {
  const text = readFileSync(PAGE, 'utf8');
  const all = statements(text);
  assert.ok(all.length > 30, 'the page was not understood');
  for (const statement of all) {
    const seen = [...statement.matchAll(SEEN)];
    assert.ok(seen.length > 0, `points to no test: ${statement}`);
    for (const [, path = '', title] of seen) {
      const file = new URL(path, PAGE);
      assert.ok(existsSync(file), `${path} is not there: ${statement}`);
      if (title === undefined) continue;
      const source = readFileSync(file, 'utf8');
      assert.ok(source.includes(title), `${path} has no test "${title}": ${statement}`);
    }
  }
});

test('nothing is stated outside of the statements', () => {
  const rest = readFileSync(PAGE, 'utf8')
    .split(/\n{2,}/)
    .filter((part) => !/^(#|- |\| )/.test(part.trim()) && part.trim() !== '');
  for (const part of rest) assert.match(part, /:$/, `a statement without a test: ${part}`);
});
