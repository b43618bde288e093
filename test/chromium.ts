import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { ensureBinaries, findChromium } from './binaries.ts';

/** A browser of the machine's own, without a window, that calls no server by itself. Its opener closes it. */
export async function openBrowser(): Promise<Browser> {
  ensureBinaries(['chromium']);
  return chromium.launch({
    executablePath: findChromium() ?? 'chromium',
    timeout: 0,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A page whose waits have no limit of their own: on a busy machine the browser is slow. The test file has a limit. */
export async function openPage(browser: Browser, options?: BrowserContextOptions): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(0);
  return page;
}
