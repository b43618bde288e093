import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openBrowser, openPage } from '../chromium.ts';
import { openBoardFixture } from './fixture.ts';

suite('a page that asks for itself again', () => {
  test('keeps text that is being typed, and reloads afterwards', async () => {
    const fixture = await openBoardFixture();
    const browser = await openBrowser();
    try {
      await fixture.submit('slow', { one: 'a tea hill' }, 'paused');
      const page = await openPage(browser, {});
      await page.clock.install();
      await page.goto(fixture.board.entry);
      await page.goto(`${fixture.board.url}/batches/slow`);
      const field = page.getByRole('textbox');
      await field.fill('sku-123');
      await page.clock.runFor(60_000);
      assert.equal(await field.inputValue(), 'sku-123');
      await field.fill('');
      await field.blur();
      const again = page.waitForEvent('load');
      await page.clock.runFor(15_000);
      await again;
      assert.equal(await page.title(), 'slow · vidbatch');
    } finally {
      await browser.close();
      await fixture.close();
    }
  });
});
