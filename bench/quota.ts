import { join } from 'node:path';
import { observe } from './child.ts';
import { startStandIn } from './provider.ts';
import type { StandIn } from './provider.ts';
import { writeManifest } from './rows.ts';
import type { Stage } from './stage.ts';

const LAUNCHER = '../bin/vidbatch.js';
const WORKERS = 2;

/** What a run came to, and what it was to come to. */
export interface QuotaResult {
  name: string;
  title: string;
  figures: { what: string; value: number; target: string; met: boolean }[];
}

/** A provider that allows so much, and workers that share it. */
interface Scene {
  name: string;
  title: string;
  rows: number;
  simulate: readonly string[];
  work: readonly string[];
  /** While they work. */
  meanwhile?: (provider: StandIn, done: AbortSignal) => Promise<void>;
  judge: (provider: StandIn) => Promise<QuotaResult['figures']>;
}

const atMost = (what: string, value: number, most: number): QuotaResult['figures'][number] => ({
  what,
  value,
  target: `at most ${most}`,
  met: value <= most,
});

async function throttledShare(provider: StandIn): Promise<number> {
  const { creates, byStatus } = await provider.stats();
  return (byStatus['429'] ?? 0) / creates;
}

const known: Scene = {
  name: 'quota',
  title: 'a known quota of 20/s, two workers with --rate 20/s, 1,200 rows',
  rows: 1_200,
  simulate: ['--quota', '20'],
  work: ['--rate', '20/s'],
  async judge(provider) {
    const times = (await provider.record()).map(({ at }) => at).toSorted((a, b) => a - b);
    const tookMs = (times.at(-1) ?? NaN) - (times[0] ?? NaN);
    return [
      atMost('makespan / ideal', tookMs / ((times.length - 1) * 50), 1.03),
      atMost('429 / calls', await throttledShare(provider), 0.005),
    ];
  },
};

const SCENES: readonly Scene[] = [known];

export const QUOTAS = SCENES.map(({ name }) => name);

export async function measureQuota(stage: Stage, name: string): Promise<QuotaResult> {
  const scene = SCENES.find((one) => one.name === name);
  if (scene === undefined) throw new Error(`there is no ${name}`);
  const provider = await startStandIn(scene.simulate);
  try {
    const { url: databaseUrl } = await stage.database();
    const folder = await stage.folder();
    const manifest = join(folder, 'rows.csv');
    await writeManifest(manifest, scene.rows);
    const env = {
      VIDBATCH_BASE_URL: provider.url,
      VIDBATCH_API_KEY: 'bench',
      REDIS_URL: (await stage.redis()).url,
      DATABASE_URL: databaseUrl,
    };
    const vidbatch = (own: string, args: readonly string[]): Promise<unknown> =>
      observe({
        script: LAUNCHER,
        args,
        env: { ...env, VIDBATCH_DATA_DIR: join(own, 'data') },
        folder: own,
        from: 'job-taken',
        to: 'job-completed',
        signal: stage.interrupted,
      });
    await vidbatch(folder, ['submit', manifest]);
    const done = new AbortController();
    const meanwhile = scene.meanwhile?.(provider, done.signal);
    const works = Array.from({ length: WORKERS }, async () =>
      vidbatch(await stage.folder(), ['work', '--drain', ...scene.work]),
    );
    await Promise.all(works);
    done.abort();
    await meanwhile;
    return { name, title: scene.title, figures: await scene.judge(provider) };
  } finally {
    await provider.stop();
  }
}
