/**
 * `node test/board/screenshots.ts`: makes the pictures of `docs/`, of a real board over real batches, on an embedded
 * ledger and on a Redis of its own.
 */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { queueName } from '../../src/worker/queue/name.ts';
import { openQueue } from '../../src/worker/queue/queue.ts';
import { openBrowser, openPage } from '../chromium.ts';
import { startServer } from '../servers.ts';
import { openBoardFixture } from './fixture.ts';
import type { BoardFixture } from './fixture.ts';

const MOST_BYTES = 200_000;
const pathOf = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

async function play(fixture: BoardFixture): Promise<void> {
  const { simulator } = fixture;
  await fixture.send(await fixture.submitFile(pathOf('jobs/text.csv')));
  simulator.faults.add({ match: { nth: 2 }, fault: 'policy' });
  simulator.faults.add({ match: { nth: 4 }, fault: 'status-502:created' });
  await fixture.send(await fixture.submitFile(pathOf('jobs/storyboard.json')));
  await fixture.submitFile(pathOf('jobs/image.jsonl'), 'paused');
}

async function firstGroup({ app }: BoardFixture): Promise<string> {
  const queue = openQueue(app.store, queueName(app.ledgerId, null), { skipMetasUpdate: true });
  try {
    const [first, second] = await queue.getJobs('completed', 0, 1, true);
    return `/queues/queue/${queue.name}/${(second ?? first)?.id}?status=completed`;
  } finally {
    await queue.close();
  }
}

async function photograph(browser: Browser, fixture: BoardFixture, kind: string): Promise<void> {
  const page = await openPage(browser, { viewport: { width: 1280, height: 800 } });
  const shoot = async (name: string): Promise<void> => {
    const path = pathOf(`docs/${name}.png`);
    await page.screenshot({ path });
    const { size } = await stat(path);
    if (size > MOST_BYTES) throw new Error(`${path}: ${size} bytes, more than ${MOST_BYTES}`);
    console.log(`docs/${name}.png: ${size} bytes`);
  };
  await page.goto(fixture.board.entry);
  await shoot(`batches-${kind}`);
  // The job of the first group: its prompts are in a script that every machine has a font for.
  await page.goto(`${fixture.board.url}${await firstGroup(fixture)}`);
  await page.getByText('took').first().waitFor();
  await page.getByText('Loading the job flow').waitFor({ state: 'hidden' });
  await page.evaluate('document.fonts.ready');
  await shoot(`board-${kind}`);
  await page.close();
}

const redis = await startServer('redis');
const browser = await openBrowser();
try {
  const kinds = { embedded: {}, redis: { REDIS_URL: redis.url } };
  for (const [kind, env] of Object.entries(kinds)) {
    const fixture = await openBoardFixture(env);
    try {
      await play(fixture);
      await photograph(browser, fixture, kind);
    } finally {
      await fixture.close();
    }
  }
} finally {
  await browser.close();
  await redis.stop();
}
