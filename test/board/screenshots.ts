/**
 * `node test/board/screenshots.ts`: makes the pictures of `docs/`, of a real board and a real report over real batches.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startBoard } from '../../src/board/server.ts';
import { readConfig } from '../../src/core/config.ts';
import { createLog } from '../../src/core/log.ts';
import { startSimulator } from '../../src/simulator/server.ts';
import { openApp } from '../../src/worker/app.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { VIDBATCH } from '../cli.ts';

const MOST_BYTES = 200_000;
const OK = 0;
/** Of a `run` that left rejected and uncertain rows. */
const UNCERTAIN_ROWS = 5;
const pathOf = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

const folder = await mkdtemp(join(tmpdir(), 'vidbatch-'));
const simulator = await startSimulator({ latency: { minMs: 80, maxMs: 400 } });
const env = {
  PATH: process.env['PATH'],
  VIDBATCH_DATA_DIR: join(folder, '.vidbatch'),
  VIDBATCH_BASE_URL: simulator.url,
  VIDBATCH_API_KEY: 'practice',
  VIDBATCH_LOG_LEVEL: 'warn',
};

async function vidbatch(args: readonly string[], expected = OK): Promise<void> {
  const [node, ...launcher] = VIDBATCH;
  const child = spawn(node, [...launcher, ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== expected)
    throw new Error(`vidbatch ${args.join(' ')}: exit code ${String(code)}, not ${expected}`);
}

/** One batch is done, one has rows that a person must look at, and one is paused. */
async function play(): Promise<void> {
  for (const name of ['text.csv', 'start-end.csv', 'image.jsonl', 'prices.example.json'])
    await copyFile(pathOf(`jobs/${name}`), join(folder, name));
  const prices = ['--prices', 'prices.example.json'];
  await vidbatch(['run', 'text.csv', '--yes', ...prices]);
  await vidbatch(['reconcile', 'text', '--watch']);
  await vidbatch(['download', 'text', '--allow-private']);
  await vidbatch(['report', 'text', '--html', '--output', 'report.html']);
  simulator.faults.add({ match: { nth: 2 }, fault: 'policy' });
  simulator.faults.add({ match: { nth: 4 }, fault: 'status-502:created' });
  await vidbatch(['run', 'start-end.csv', '--yes', ...prices], UNCERTAIN_ROWS);
  await vidbatch(['submit', 'image.jsonl', ...prices]);
  await vidbatch(['pause', 'image']);
}

async function photograph(): Promise<void> {
  const app = await openApp(readConfig(env), 'worker');
  const board = await startBoard({
    app,
    host: '127.0.0.1',
    port: 0,
    log: createLog('silent'),
    origin: simulator.url,
  });
  const browser = await openBrowser();
  try {
    const page = await openPage(browser);
    // WebP is less than half of the PNG that Playwright makes, and the pictures are in the package.
    const devtools = await page.context().newCDPSession(page);
    const shoot = async (name: string, url: string, height: number): Promise<void> => {
      await page.setViewportSize({ width: 1360, height });
      await page.goto(url);
      await page.evaluate('document.fonts.ready');
      const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 85 });
      const picture = Buffer.from(data, 'base64');
      const path = `docs/console-${name}.webp`;
      if (picture.length > MOST_BYTES)
        throw new Error(`${path}: ${picture.length} bytes, more than ${MOST_BYTES}`);
      await writeFile(pathOf(path), picture);
      console.log(`${path}: ${picture.length} bytes`);
    };
    const { rows } = await app.db.query<{ id: number }>(
      `select id from vidbatch.row_state where state = 'uncertain'`,
    );
    await shoot('home', board.entry, 760);
    await shoot('batch', `${board.url}/batches/text`, 760);
    await shoot('videos', `${board.url}/batches/text/videos`, 720);
    await shoot('settle', `${board.url}/rows/${rows[0]?.id}/settle`, 800);
    await shoot('report', pathToFileURL(join(folder, 'report.html')).href, 800);
  } finally {
    await browser.close();
    await board.close();
    await app.close();
  }
}

try {
  await play();
  await photograph();
} finally {
  await simulator.close();
  await rm(folder, { recursive: true, force: true });
}
