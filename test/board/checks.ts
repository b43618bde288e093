import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

let axe: string | undefined;

/** Axe finds no fault on the page that is open, in light and in dark. Only the contrast of colours differs in dark. */
export async function assertAccessible(page: Page): Promise<void> {
  axe ??= readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  for (const [colorScheme, options] of [
    ['light', {}],
    ['dark', { runOnly: ['color-contrast'] }],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate<string[]>(
      `axe.run(${JSON.stringify(options)}).then(({ violations }) =>
         violations.map(({ id, nodes }) => id + ' ' + nodes.map((one) => one.html)))`,
    );
    assert.deepEqual(found, [], `${page.url()} in ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
}

/** Nothing on the page that is open is wider than its window. */
export async function assertFits(page: Page): Promise<void> {
  const [scrolled, seen] = await page.evaluate<[number, number]>(
    '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
  );
  assert.ok(scrolled <= seen, `${page.url()} is ${scrolled} wide`);
}
