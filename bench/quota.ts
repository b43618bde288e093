import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { observe } from './child.ts';
import { startSimulatorProcess, type SimulatorProcess } from './provider.ts';
import { promptOf, writeManifest } from './rows.ts';
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
  prepare?: (provider: SimulatorProcess) => Promise<void>;
  /** While they work. */
  meanwhile?: (provider: SimulatorProcess, done: AbortSignal) => Promise<void>;
  judge: (provider: SimulatorProcess) => Promise<QuotaResult['figures']>;
}

const atMost = (what: string, value: number, most: number): QuotaResult['figures'][number] => ({
  what,
  value,
  target: `at most ${most}`,
  met: value <= most,
});

async function throttledShare(provider: SimulatorProcess): Promise<number> {
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

const atLeast = (what: string, value: number, least: number): QuotaResult['figures'][number] => ({
  what,
  value,
  target: `at least ${least}`,
  met: value >= least,
});

/** Seconds since the first row was accepted, and the quota from then on. */
const CHANGES = [
  { afterS: 0, perSecond: 20 },
  { afterS: 90, perSecond: 5 },
  { afterS: 150, perSecond: 40 },
] as const;

/** What the quota allowed in so many seconds since the first row was accepted. */
function allowed(seconds: number): number {
  return CHANGES.reduce((sum, { afterS, perSecond }, n) => {
    const until = Math.min(seconds, CHANGES[n + 1]?.afterS ?? Infinity);
    return sum + Math.max(0, until - afterS) * perSecond;
  }, 0);
}

const unknown: Scene = {
  name: 'auto',
  title: 'a quota that nobody has told, 20/s, then 5/s, then 40/s, two workers with --rate auto, 6,000 rows',
  rows: 6_000,
  simulate: ['--quota', '20'],
  work: ['--rate', 'auto', '--concurrency', '16'],
  async meanwhile(provider, done) {
    const first = async (): Promise<number | undefined> => (await provider.record())[0]?.at;
    let began = await first();
    while (began === undefined && !done.aborted) {
      await sleep(100);
      began = await first();
    }
    for (const { afterS, perSecond } of CHANGES.slice(1)) {
      const ms = (began ?? 0) + afterS * 1000 - Date.now();
      await sleep(ms, undefined, { signal: done }).catch(() => undefined);
      if (!done.aborted) await provider.configure({ requestsPerSecond: perSecond });
    }
  },
  async judge(provider) {
    const times = (await provider.record()).map(({ at }) => at).toSorted((a, b) => a - b);
    const seconds = ((times.at(-1) ?? NaN) - (times[0] ?? NaN)) / 1000;
    return [
      atLeast('accepted / allowed', times.length / allowed(seconds), 0.9),
      atMost('429 / calls', await throttledShare(provider), 0.03),
    ];
  },
};

const PLACES = 5;

const capped: Scene = {
  name: 'cap',
  title: 'five tasks at a time, of 6 to 18 seconds, two workers with --max-in-flight 5, 60 rows',
  rows: 60,
  simulate: ['--running', `${PLACES}:refuse`],
  work: ['--max-in-flight', String(PLACES)],
  async prepare(provider) {
    await provider.configure({ task: { queuedMs: 0, runningMs: 10_000 } });
    for (let row = 0; row < 60; row += 1) {
      // As good as random, and the same each time.
      const runningMs = 6_000 + ((row * 7_919) % 12_000);
      await provider.addRule({ match: { prompt: promptOf(row) }, task: { runningMs } });
    }
  },
  async judge(provider) {
    const tasks = (await provider.tasks()).toSorted((a, b) => a.startsAt - b.startsAt);
    const [from, to] = [tasks[PLACES - 1]?.startsAt ?? NaN, tasks.at(-1)?.startsAt ?? NaN];
    const busyMs = tasks.reduce(
      (sum, task) => sum + Math.max(0, Math.min(to, task.endsAt) - Math.max(from, task.startsAt)),
      0,
    );
    const most = Math.max(
      ...tasks.map(({ startsAt: at }) => tasks.filter((one) => one.startsAt <= at && at < one.endsAt).length),
    );
    const { queries, byStatus } = await provider.stats();
    return [
      atMost('tasks at a time', most, PLACES),
      atMost('429', byStatus['429'] ?? 0, 0),
      atLeast(
        'places busy, from the first time that all were until the last task began',
        busyMs / (PLACES * (to - from)),
        0.95,
      ),
      { what: 'questions a task', value: queries / tasks.length, target: 'none', met: true },
    ];
  },
};

const SCENES: readonly Scene[] = [known, unknown, capped];

export const QUOTAS = SCENES.map(({ name }) => name);

export async function measureQuota(stage: Stage, name: string): Promise<QuotaResult> {
  const scene = SCENES.find((one) => one.name === name);
  if (scene === undefined) throw new Error(`there is no ${name}`);
  const provider = await startSimulatorProcess(scene.simulate);
  try {
    await scene.prepare?.(provider);
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
