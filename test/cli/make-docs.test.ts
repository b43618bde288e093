import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { madePages } from './make-docs.ts';

describe('the pages that are made from the program', async () => {
  for (const { page, text } of await madePages()) {
    it(`are as the program is now; \`npm run docs\` writes them: ${basename(page.pathname)}`, () => {
      assert.ok(readFileSync(page, 'utf8') === text, `${page.pathname} is out of date: run \`npm run docs\``);
    });
  }
});
