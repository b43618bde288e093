import { join } from 'node:path';
import type { QuotaResult } from './quota.ts';
import type { Stage } from './stage.ts';
import { spreadOf } from './statistics.ts';
import { envOf, startWorker, submitted, until, vidbatch, type Ledger } from './vidbatch.ts';

export const GROWTH = 'growth';

/** Of each batch, so many are sent in a round. */
const SENT = 20_000;
const LEAST = 0.9;

export interface GrowthCase {
  /** Of the large batch. */
  rows: number;
  rounds: number;
}

/** Commands that read all of a batch, or look at it. */
const READERS = ['status', 'report', 'verify', 'plan'] as const;

/** What becomes slower with the size of a batch: rows a second of a worker, and seconds of what people ask. */
export async function measureGrowth(
  stage: Stage,
  { rows, rounds }: GrowthCase,
  tell: (line: string) => void,
): Promise<QuotaResult> {
  const large = await submitted(stage, rows);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const small = await rateOf(stage, await submitted(stage, SENT));
    const ofLarge = await rateOf(stage, large);
    ratios.push(ofLarge / small);
    tell(`  ${round + 1}  ${ofLarge.toFixed(0)} / ${small.toFixed(0)} rows/s`);
  }
  const { median, min, max } = spreadOf(ratios);
  const figures: QuotaResult['figures'] = [
    {
      what: `rows/s of ${SENT.toLocaleString('en')} rows / of a batch that has no more (${min.toFixed(2)} to ${max.toFixed(2)})`,
      value: median,
      target: `at least ${LEAST}`,
      met: median >= LEAST,
    },
  ];
  for (const command of READERS) {
    const value = await secondsOf(stage, large, command);
    const what = `seconds of \`${command}\``;
    figures.push({ what, value, target: 'none', met: true });
    tell(`  ${value.toFixed(1)} s  ${command}`);
  }
  return { name: GROWTH, title: `a batch of ${rows.toLocaleString('en')} rows`, figures };
}

/** Rows a second of the next rows that a worker sends, of which the target saw the first and the last. */
async function rateOf(stage: Stage, { databaseUrl }: Ledger): Promise<number> {
  const folder = await stage.folder();
  const env = await placesOf(stage, databaseUrl, folder);
  await stage.target.begin(0);
  const worker = await startWorker(stage, folder, env, ['--concurrency', '100']);
  let seen = await stage.target.seen();
  try {
    await until(async () => {
      seen = await stage.target.seen();
      return seen.posts >= SENT;
    }, worker.over);
  } finally {
    await worker.stop();
  }
  return (seen.posts / seen.spanMs) * 1000;
}

async function secondsOf(stage: Stage, { databaseUrl, manifest }: Ledger, command: string): Promise<number> {
  const folder = await stage.folder();
  const env = await placesOf(stage, databaseUrl, folder);
  const args = command === 'plan' ? [manifest] : command === 'report' ? ['rows'] : [];
  const began = performance.now();
  await vidbatch(stage, folder, env, [command, ...args]);
  return (performance.now() - began) / 1000;
}

async function placesOf(stage: Stage, databaseUrl: string, folder: string): Promise<Record<string, string>> {
  const places = { REDIS_URL: (await stage.redis()).url, DATABASE_URL: databaseUrl };
  return envOf(stage, join(folder, 'data'), places);
}
